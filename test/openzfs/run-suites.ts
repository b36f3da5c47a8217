/**
 * `make test-openzfs [ONLY=path]`: the suites that use a pool, on OpenZFS in a machine of its own. The last line is
 * `N passed, N failed, N skipped`. Arguments are parts of paths of test files; `--if-built` runs nothing where the machine
 * would have to be built first, unless `VARVE_OPENZFS=1`.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { formatDuration } from '../../src/cli/format.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { ensureMachine, findMachine } from './build-machine.ts'
import { Machine } from './machine.ts'
import { treeDirectory, withSuiteEnvironment } from './suite-shell.ts'
import { openZfsSuites } from './suites.ts'
import { writeWorkTree } from './work-tree.ts'

/** How much longer than on a real processor a test may take. */
const slowness = { kvm: 1, tcg: 20 }
const limitSeconds = { unpack: 600, suites: 3 * 3600 }

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => interrupted.abort(new Error(`ended by ${name}`)))

const { values, positionals } = parseArgs({
  options: { 'if-built': { type: 'boolean', default: false } },
  allowPositionals: true,
})
const started = Date.now()
try {
  if (values['if-built'] && process.env['VARVE_OPENZFS'] !== '1' && (await findMachine()) === undefined)
    console.log('Not run on OpenZFS: its machine is not built yet here; VARVE_OPENZFS=1 builds it.')
  else process.exitCode = await runSuites(openZfsSuites(positionals), interrupted.signal)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

async function runSuites(suites: readonly string[], signal: AbortSignal): Promise<number> {
  if (suites.length === 0) throw new Error('No suite that uses a pool has such a path.')
  const files = await ensureMachine(signal)
  await using directory = await temporaryDirectory()
  const data = join(directory.path, 'tree.tar')
  await writeWorkTree(data)
  await using machine = await Machine.start({ files, data, report, signal })

  const inMachine = async (command: string, seconds: number): Promise<number> =>
    await machine.run(command, { limitSeconds: seconds, onOutput: chunk => void process.stdout.write(chunk) })
  const unpack = `mkdir ${treeDirectory} && tar --extract --file /dev/vdb --directory ${treeDirectory} && modprobe zfs && zfs version`
  if ((await inMachine(unpack, limitSeconds.unpack)) !== 0)
    throw new Error('the work tree cannot be unpacked in the OpenZFS machine')
  report(`${suites.length} suites`)
  const test = ['toolchain/node_modules/.bin/node', 'test/run.ts', ...suites]
  const line = withSuiteEnvironment({ slowness: slowness[machine.accelerator] }, test)
  return await inMachine(`cd ${treeDirectory} && exec ${line}`, limitSeconds.suites)
}

function report(text: string): void {
  console.error(`OpenZFS machine, ${formatDuration(Date.now() - started)}: ${text}`)
}
