import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createZfsStarter, ZfsCommand } from '../../../../src/importer/chain/zfs/zfs-command.ts'
import { failsWith } from '../../../contract/chain-store/suite.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../../support/temporary-directory.ts'

const run = promisify(execFile)
const subject = { resource: 'chain', name: 'tank/x' } as const

describe('commands that another process starts', { timeout: 120_000 }, () => {
  let directory: TemporaryDirectory
  before(async () => {
    directory = await temporaryDirectory()
  })
  after(() => directory.remove())

  let count = 0
  async function standIn(script: string): Promise<string> {
    const program = join(directory.path, `zfs-${++count}`)
    await writeFile(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
    return program
  }

  it('get their arguments without a shell, and nothing of our environment but the locale and a path', async () => {
    using starter = createZfsStarter()
    const program = await standIn(
      'printf "%s|" "$@"; env | grep -v -e ^PWD -e ^OLDPWD -e ^_ -e ^SHLVL | sort',
    )
    const said = await starter.run(program, ['a b', '$HOME;', '*', "it's\n"])
    assert.match(said, /^a b\|\$HOME;\|\*\|it's\n\|LC_ALL=C\nPATH=[^\n]*\n$/)
  })

  it('answer each to who asked, however many run', async () => {
    using starter = createZfsStarter()
    const program = await standIn('sleep "0.$(($1 % 5))"; echo "$1"; [ "$(($1 % 2))" = 0 ]')
    const asked = Array.from({ length: 40 }, (_, index) => String(index))
    const ended = await Promise.allSettled(asked.map(number => starter.run(program, [number])))
    for (const [index, one] of ended.entries()) {
      assert.equal(one.status, index % 2 === 0 ? 'fulfilled' : 'rejected')
      assert.equal(one.status === 'fulfilled' ? one.value : one.reason.stdout, `${index}\n`)
    }
  })

  it('fail as those that we start ourselves', async () => {
    using starter = createZfsStarter()
    const program = await standIn('echo "cannot destroy: dataset is busy" >&2; exit 1')
    const absent = join(directory.path, 'absent')
    for (const [name, code] of [
      [program, 'busy'],
      [absent, 'unavailable'],
    ] as const) {
      const failures = await Promise.all(
        [{ starter }, {}].map(
          async options =>
            await new ZfsCommand({ program: name, patience: [1], ...options })
              .change(subject, ['destroy', 'tank/x'])
              .then(
                () => assert.fail('it succeeded'),
                (error: Error) => error,
              ),
        ),
      )
      const [there, here] = failures
      assert.ok(failsWith(code)(there))
      assert.equal(there?.message, here?.message)
    }
  })

  it('fail when that process is killed, after which another starts them', async () => {
    using starter = createZfsStarter()
    const zfs = new ZfsCommand({ program: await standIn('kill -9 "$PPID"'), starter, patience: [] })
    await assert.rejects(zfs.change(subject, ['clone']), failsWith('unavailable'))
    assert.equal(await starter.run('echo', ['again']), 'again\n')
  })

  it('fail when that process is killed, but not before they have ended that it left behind', async () => {
    using starter = createZfsStarter()
    const program = await standIn('kill -9 "$PPID"; until [ -e "$0.go" ]; do sleep 0.02; done; : > "$0.done"')
    let hasFailed = false
    const failing = assert.rejects(starter.run(program, []), /has ended/).then(() => (hasFailed = true))
    // Those that are sent before the death is known here fail with it.
    let hasAnother = false
    while (!hasAnother && !hasFailed) {
      starter.run('true', []).then(
        () => (hasAnother = true),
        () => {},
      )
      await sleep(20)
    }
    assert.ok(!hasFailed)
    await writeFile(`${program}.go`, '')
    await failing
    assert.ok(existsSync(`${program}.done`))
  })

  it('tell a caller that has nothing else to do that that process was killed', async () => {
    const program = await standIn('kill -9 "$PPID"; sleep 0.3')
    const asking = `
      import { createZfsStarter } from ${JSON.stringify(import.meta.resolve('../../../../src/importer/chain/zfs/zfs-command.ts'))}
      await createZfsStarter().run(${JSON.stringify(program)}, []).catch(error => console.log(error.message))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', asking])
    assert.match(stdout, /has ended/)
  })

  it('fail, and not for want of zfs, when that process cannot be started', async () => {
    using starter = createZfsStarter()
    const zfs = new ZfsCommand({ program: 'true', starter, patience: [] })
    const { execPath } = process
    try {
      // As after an upgrade that has taken the old program away.
      process.execPath = join(directory.path, 'absent')
      await assert.rejects(zfs.change(subject, ['clone']), /^DomainError: .*does not start: .*ENOENT/)
    } finally {
      process.execPath = execPath
    }
    await zfs.change(subject, ['clone'])
  })

  it('fail alone that no program can be given', async () => {
    using starter = createZfsStarter()
    const other = starter.run('sleep', ['0.2'])
    await assert.rejects(starter.run('echo', ['a\0b']), /null bytes/)
    await assert.rejects(starter.run('echo', ['x'.repeat(1024 * 1024)]), /E2BIG/)
    await other
  })

  it('fail while no descriptor is left for their process, and not afterwards', async () => {
    const asking = `
      import { closeSync, openSync } from 'node:fs'
      import { createZfsStarter } from ${JSON.stringify(import.meta.resolve('../../../../src/importer/chain/zfs/zfs-command.ts'))}
      const starter = createZfsStarter()
      const open = []
      try { for (;;) open.push(openSync('/dev/null')) } catch {}
      await starter.run('echo', []).catch(error => console.log(error.message))
      for (const one of open) closeSync(one)
      console.log(await starter.run('echo', ['again']))`
    const { stdout } = await run('/bin/sh', [
      '-c',
      'ulimit -n 200; exec "$0" "$@"',
      process.execPath,
      '--input-type=module',
      '--eval',
      asking,
    ])
    assert.match(stdout, /^the process that starts zfs does not start: .*EMFILE\nagain\n/)
  })

  it('are not stopped by a signal to the whole group', async () => {
    using starter = createZfsStarter()
    const program = await standIn('trap "" TERM; kill -TERM "$PPID"; sleep 0.3; echo done')
    assert.equal(await starter.run(program, []), 'done\n')
  })

  it('run to their end when whoever asked for them is killed, and nobody is left then', async () => {
    const program = await standIn(
      `echo "$PPID" > "$0.starter"; kill -9 "$1"; sleep 0.3; echo made; : > "$0.done"`,
    )
    const asking = `
      import { createZfsStarter } from ${JSON.stringify(import.meta.resolve('../../../../src/importer/chain/zfs/zfs-command.ts'))}
      await createZfsStarter().run(${JSON.stringify(program)}, [String(process.pid)])`
    await assert.rejects(run(process.execPath, ['--input-type=module', '--eval', asking]), {
      signal: 'SIGKILL',
    })
    while (!existsSync(`${program}.done`)) await sleep(20)
    const starter = Number(await readFile(`${program}.starter`, 'utf8'))
    while (existsSync(`/proc/${starter}/exe`)) await sleep(20)
  })

  it('keep their caller alive while they run, and not longer', async () => {
    const asking = `
      import { createZfsStarter } from ${JSON.stringify(import.meta.resolve('../../../../src/importer/chain/zfs/zfs-command.ts'))}
      const starter = createZfsStarter()
      await starter.run('true', [])
      starter.run('sleep', ['0.3']).then(() => console.log('ended'))`
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', asking])
    assert.equal(stdout, 'ended\n')
  })
})
