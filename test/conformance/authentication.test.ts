/** The same as of a registry that asks nobody, of one that asks everybody, by an account that has a role and is no admin. */
import { describe } from 'node:test'
import { startAccountRegistry } from '../support/account-registry.ts'
import { type AuthMode, authorizing } from '../support/authorized-client.ts'
import { basic } from '../support/known-identities.ts'
import { blobStepSuite } from './blob-step-suite.ts'
import { checkedReferences, dataSetSuite } from './data-set-suite.ts'
import { conformanceProgramSuite } from './program-suite.ts'
import type { RegistryUnderTest } from './registry-under-test.ts'

/** A maintainer of all that the suites push to: they delete, too. */
const runner = 'mia'
const tenants = ['conformance', 'blob', 'data']
/** A mount from anywhere finds what is in repositories that the token is good for. */
const mountedFrom = ['repository:blob/source:pull']

async function open(
  mode: AuthMode,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<RegistryUnderTest> {
  const registry = await startAccountRegistry(mode, { tenants, settings: { registry: settings } })
  const { url } = registry
  return {
    url,
    account: { login: registry.login(runner), authorize: authorizing(url, mode, basic(runner), mountedFrom) },
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
}

for (const mode of ['token', 'basic'] as const)
  describe(`With auth.mode ${mode}`, () => {
    conformanceProgramSuite(() => open(mode))
    blobStepSuite(() => open(mode))
    for (const requireReferences of checkedReferences)
      dataSetSuite(requireReferences, () => open(mode, { requireReferences }))
  })
