import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultPlatform, formatPlatform, parsePlatform, satisfies } from '../../src/storage/platform.ts'

describe('Platforms', () => {
  for (const text of ['linux/amd64', 'linux/arm64/v8', 'freebsd/amd64', 'linux/s390x'])
    it(`are read from ${text}, and written the same`, () => {
      assert.equal(formatPlatform(parsePlatform(text)), text)
    })

  for (const text of ['', '/', 'linux', 'linux/', '/amd64', 'linux/arm64/', 'linux/arm64/v8/x'])
    it(`are not read from ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePlatform(text), {
        code: 'invalid',
        details: { resource: 'platform', name: text },
      })
    })

  const cases: readonly [offered: string, wanted: string, satisfied: boolean][] = [
    ['linux/amd64', 'linux/amd64', true],
    ['linux/arm64/v8', 'linux/arm64', true],
    ['linux/arm64/v8', 'linux/arm64/v8', true],
    ['linux/arm64', 'linux/arm64/v8', false],
    ['linux/arm/v6', 'linux/arm/v7', false],
    ['linux/arm64', 'linux/amd64', false],
    ['windows/amd64', 'linux/amd64', false],
  ]
  for (const [offered, wanted, satisfied] of cases)
    it(`${offered} is ${satisfied ? '' : 'not '}taken where ${wanted} is wanted`, () => {
      assert.equal(satisfies(parsePlatform(offered), parsePlatform(wanted)), satisfied)
    })

  it('are linux/amd64 unless somebody says otherwise', () => {
    assert.equal(formatPlatform(defaultPlatform), 'linux/amd64')
  })
})
