import childProcess from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import { mock } from 'node:test'

/** Names of the programs that this thread starts and waits for while `work` runs. */
export async function programsRunBy(work: () => Promise<unknown>): Promise<string[]> {
  const spawn = mock.method(childProcess, 'spawnSync')
  syncBuiltinESMExports()
  try {
    await work()
    return spawn.mock.calls.map(({ arguments: [program] }) => program.split('/').at(-1) ?? '')
  } finally {
    spawn.mock.restore()
    syncBuiltinESMExports()
  }
}
