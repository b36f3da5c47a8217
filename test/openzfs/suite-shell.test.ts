import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exec } from '../support/process.ts'
import { withSuiteEnvironment } from './suite-shell.ts'

describe('the environment of suites in the machine', () => {
  const outputOf = (program: readonly string[]): Promise<string> =>
    exec('sh', ['-c', withSuiteEnvironment({ slowness: 7 }, program)])

  it('has all hooks in one variable, and how slow the machine is', async () => {
    const [options, slowness] = (await outputOf(['printenv', 'NODE_OPTIONS', 'VARVE_TEST_SLOWNESS'])).split(
      '\n',
    )
    assert.match(String(options), /^--import=\S+plain-hook\.js --import=\S+patient-tests\.ts$/)
    assert.equal(slowness, '7')
  })

  it('hands on arguments as they are', async () => {
    assert.equal(
      await outputOf(['printf', '%s|', "it's", 'two words', '$HOME;ls', '']),
      "it's|two words|$HOME;ls||",
    )
  })
})
