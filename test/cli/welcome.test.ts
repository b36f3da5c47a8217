import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { eventuallyWithin } from '../support/eventually.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { varveProgram } from '../support/varve.ts'

describe('varve up', () => {
  it('shows commands that find its agent, wherever its data are', async () => {
    await using directory = await temporaryDirectory()
    const data = join(directory.path, 'with a blank')
    const addresses = ['--address', '127.0.0.1:0', '--metrics-address', '127.0.0.1:0']
    const child = spawn(varveProgram, ['up', ...addresses, '--data', data], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    try {
      await eventuallyWithin(60, 'the last line', () => said.includes('Ctrl-C'))
      const socket = join(data, 'agent.sock')
      for (const command of ['import', 'clone', 'clones'])
        assert.ok(
          said
            .split('\n')
            .some(line => line.includes(`varve ${command}`) && line.endsWith(` --socket '${socket}'`)),
          command,
        )
    } finally {
      child.kill('SIGINT')
      await exited
    }
  })
})
