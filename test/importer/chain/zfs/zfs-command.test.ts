import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ZfsCommand } from '../../../../src/importer/chain/zfs/zfs-command.ts'
import { failsWith } from '../../../contract/chain-store/suite.ts'

const subject = { resource: 'chain', name: 'tank/x' } as const

describe('running zfs', () => {
  let directory = ''
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'varve-test-zfs-'))
  })
  after(() => rm(directory, { recursive: true, force: true }))

  /** A program in the place of zfs; `$0.log` gets a line for each call. */
  async function standIn(script: string): Promise<{ program: string; calls: () => Promise<number> }> {
    const program = join(directory, `zfs-${Math.random().toString(36).slice(2)}`)
    await writeFile(program, `#!/bin/sh\necho "$@" >> "$0.log"\n${script}\n`)
    await chmod(program, 0o755)
    const calls = async () => (await readFile(`${program}.log`, 'utf8')).split('\n').length - 1
    return { program, calls }
  }

  it('passes arguments without a shell, and nothing of our environment but the locale and a path', async () => {
    const { program } = await standIn('printf "%s|" "$@"; env | grep -v -e ^PWD -e ^_ -e ^SHLVL | sort')
    const output = await new ZfsCommand({ program }).read(subject, ['a b', '$HOME;', '*'])
    assert.match(output, /^a b\|\$HOME;\|\*\|LC_ALL=C\nPATH=[^\n]*\n(?:OLDPWD[^\n]*\n)?$/)
  })

  it('tries what is busy again, for a while', async () => {
    const { program, calls } = await standIn('echo "cannot destroy: dataset is busy" >&2; exit 1')
    const zfs = new ZfsCommand({ program, patience: [1, 1] })
    await assert.rejects(zfs.change(subject, ['destroy', 'tank/x']), failsWith('busy'))
    assert.equal(await calls(), 3)
    const once = await standIn('[ $(wc -l < "$0.log") -gt 1 ] && exit 0; echo "dataset is busy" >&2; exit 1')
    await new ZfsCommand({ program: once.program, patience: [1, 1] }).change(subject, ['destroy', 'tank/x'])
    assert.equal(await once.calls(), 2)
  })

  it('tries nothing else again', async () => {
    const { program, calls } = await standIn('echo "dataset does not exist" >&2; exit 1')
    const zfs = new ZfsCommand({ program, patience: [1, 1] })
    await assert.rejects(zfs.change(subject, ['destroy', 'tank/x']), failsWith('not_found'))
    assert.equal(await calls(), 1)
  })

  it('ends a command that only looks when the signal aborts, and the wait for what is busy', async () => {
    const sleeper = await standIn('exec sleep 60')
    const aborter = new AbortController()
    const reading = new ZfsCommand({ program: sleeper.program }).read(subject, ['get'], aborter)
    setTimeout(() => aborter.abort(new Error('enough')), 50)
    await assert.rejects(reading, /enough/)

    const busy = await standIn('echo "dataset is busy" >&2; exit 1')
    const second = new AbortController()
    const waiting = new ZfsCommand({ program: busy.program, patience: [60_000] }).change(
      subject,
      ['destroy', 'tank/x'],
      second,
    )
    setTimeout(() => second.abort(new Error('enough')), 50)
    await assert.rejects(waiting, /enough/)
  })

  it('says what to install when there is no zfs', async () => {
    const zfs = new ZfsCommand({ program: join(directory, 'absent') })
    await assert.rejects(zfs.read(subject, ['get']), failsWith('unavailable'))
  })
})
