import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isDomainError } from '../../../../src/errors.ts'
import { parseRepositoryName } from '../../../../src/storage/reference.ts'
import {
  chooseRule,
  type CredentialRule,
} from '../../../../src/storage/remote/credentials/choose-credentials.ts'

const rules: readonly CredentialRule[] = [
  { name: 'team', registry: 'r.example:5000', repositories: ['team/**'] },
  { name: 'all', registry: 'r.example:5000', repositories: ['**'] },
  { name: 'hub', registry: 'docker.io', repositories: ['library/*', 'me/*'] },
]
const image = (registry: string, repository: string) => ({
  registry,
  repository: parseRepositoryName(repository),
})

describe('chooseRule', () => {
  for (const [registry, repository, name] of [
    ['r.example:5000', 'team/app', 'team'],
    ['r.example:5000', 'team/a/b', 'team'],
    ['r.example:5000', 'teams/app', 'all'],
    ['r.example', 'team/app', undefined],
    ['r.example:5001', 'team/app', undefined],
    ['evil.r.example:5000', 'team/app', undefined],
    ['docker.io', 'library/debian', 'hub'],
    ['docker.io', 'you/debian', undefined],
  ] as const)
    it(`takes ${name ?? 'none'} for ${registry}/${repository}`, () =>
      assert.equal(chooseRule(rules, image(registry, repository), undefined)?.name, name))

  it('takes the one that is named, though another comes before it', () =>
    assert.equal(chooseRule(rules, image('r.example:5000', 'team/app'), 'all')?.name, 'all'))

  it('lists the names for one that there is not', () =>
    assert.throws(
      () => chooseRule(rules, image('docker.io', 'library/debian'), 'tean'),
      error =>
        isDomainError(error, 'invalid') && /"tean"; configured are: team, all, hub/.test(error.message),
    ))

  for (const [registry, repository] of [
    ['evil.example', 'team/app'],
    ['r.example:5000', 'other/app'],
  ] as const)
    it(`refuses one that is for something else than ${registry}/${repository}`, () =>
      assert.throws(
        () => chooseRule(rules, image(registry, repository), 'team'),
        error => isDomainError(error, 'denied') && /are for .*r\.example:5000, not for/.test(error.message),
      ))
})
