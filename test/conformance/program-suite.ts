import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { Login } from '../support/account-registry.ts'
import { exec } from '../support/process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { ensureConformanceProgram, skipWithoutConformanceProgram } from './program.ts'
import type { RegistryUnderTest } from './registry-under-test.ts'

/**
 * What only a registry that does something else, or one that is not pushed to, is asked. Each has a counterpart
 * that runs.
 */
const alternatives = [
  'Get tag name from environment',
  'Populate registry with test tags (no push)',
  'Cross-mounting of nonexistent blob should yield session id',
  'Cross-mounting without from, and automatic content discovery disabled should return a 202',
]

interface Case {
  readonly name: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly message: string
}

const skip = await skipWithoutConformanceProgram()

export function conformanceProgramSuite(open: () => Promise<RegistryUnderTest>): void {
  describe('the OCI conformance program', { skip }, () => {
    it('passes every workflow: pull, push, content discovery, content management', async () => {
      await using registry = await open()
      await using results = await temporaryDirectory()
      const output = await exec(await ensureConformanceProgram(), [], {
        cwd: results.path,
        env: {
          OCI_ROOT_URL: registry.url,
          ...(registry.account === undefined ? {} : loginOf(registry.account.login)),
          OCI_NAMESPACE: 'conformance/repo1',
          OCI_CROSSMOUNT_NAMESPACE: 'conformance/repo2',
          OCI_AUTOMATIC_CROSSMOUNT: 'true',
          OCI_TEST_PULL: '1',
          OCI_TEST_PUSH: '1',
          OCI_TEST_CONTENT_DISCOVERY: '1',
          OCI_TEST_CONTENT_MANAGEMENT: '1',
          OCI_DELETE_MANIFEST_BEFORE_BLOBS: '1',
          OCI_REPORT_DIR: results.path,
        },
      }).catch((error: unknown) => String(error))
      const cases = casesIn(await readFile(join(results.path, 'junit.xml'), 'utf8'))
      assert.deepEqual(
        cases.filter(({ outcome }) => outcome === 'failed'),
        [],
        output,
      )
      const unexpected = cases.filter(
        ({ name, outcome }) =>
          outcome === 'skipped' && !alternatives.some(alternative => name.endsWith(alternative)),
      )
      assert.deepEqual(unexpected, [])
      assert.equal(cases.filter(({ outcome }) => outcome === 'passed').length, 75)
    })
  })
}

function loginOf({ username, password }: Login): Record<string, string> {
  return { OCI_USERNAME: username, OCI_PASSWORD: password }
}

/** One element per case; set-up cases of the suite's own begin with a bracket that is not `[It]`. */
function casesIn(junit: string): Case[] {
  return [...junit.matchAll(/<testcase name="([^"]*)"[^>]*?(\/>|>([\s\S]*?)<\/testcase>)/g)].flatMap(
    ([, name = '', , body = '']): Case[] => {
      if (!name.startsWith('[It]')) return []
      const message = /<(?:failure|error)[^>]*message="([^"]*)"/.exec(body)?.[1] ?? ''
      if (/<(?:failure|error)\b/.test(body)) return [{ name, outcome: 'failed', message }]
      return [{ name, outcome: /<skipped\b/.test(body) ? 'skipped' : 'passed', message }]
    },
  )
}
