/** S-37 of layers.md 2.C: another process swaps a directory for a symlink while layers are applied. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { it } from 'node:test'
import { isDomainError } from '../../../../src/errors.ts'
import { describeInEachPlace } from '../../../support/layer-places.ts'
import type { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { dir, fifo, file, hardlink, opaque, symlink, tar, whiteout } from '../../../support/tar.ts'

const program = join(import.meta.dirname, '../../../fixtures/programs/swap-directory.ts')

/** The names are those of the canary's directory: whatever were done there instead would be seen. */
const layers: readonly (readonly [what: string, layer: Buffer])[] = [
  ['files', tar(...many(index => file(`d/f${index}`, 'pwned', { mode: 0o4777, uid: 7 })))],
  [
    'files over files',
    tar(
      ...many(
        () => file('d/authorized_keys', 'pwned'),
        () => file('d/.ssh/key', 'pwned'),
      ),
    ),
  ],
  [
    'directories',
    tar(
      ...many(
        () => dir('d/.ssh', { mode: 0o777, uid: 7, mtime: 7 }),
        () => dir('d', { mode: 0o777, mtime: 7 }),
      ),
    ),
  ],
  ['implied directories', tar(...many(index => file(`d/new${index}/f`)))],
  ['symlinks', tar(...many(index => symlink(`d/l${index}`, 'x', { uid: 7 })))],
  ['hard links', tar(file('own'), ...many(index => hardlink(`d/h${index}`, 'own')))],
  [
    'hard links to what is there',
    tar(file('d/authorized_keys'), ...many(index => hardlink(`h${index}`, 'd/authorized_keys'))),
  ],
  ['FIFOs', tar(...many(index => fifo(`d/p${index}`)).slice(0, 20))],
  [
    'whiteouts',
    tar(
      ...many(
        () => whiteout('d/authorized_keys'),
        () => whiteout('d/.ssh'),
        () => whiteout('d/setuid'),
        () => whiteout('d/twin'),
      ),
    ),
  ],
  [
    'opaque whiteouts',
    tar(
      ...many(
        () => opaque('d'),
        () => opaque('d/.ssh'),
        index => file(`d/f${index}`),
      ),
    ),
  ],
  [
    'a whiteout of the directory',
    tar(
      ...many(
        index => file(`d/s${index}/f`),
        () => whiteout('d'),
      ),
    ),
  ],
  [
    'a file in its place',
    tar(
      ...many(
        index => file(`d/s${index}`),
        () => file('d'),
        () => dir('d'),
      ),
    ),
  ],
]

/** What a layer of the race has below, so that there is something to hide and to replace. */
const lower = tar(
  ...many(index => file(`d/f${index}`)),
  file('d/.ssh/key'),
  file('d/authorized_keys'),
  file('d/setuid'),
)

describeInEachPlace('layers in a race', { timeout: 120_000 }, place => {
  const rounds = place.kind === 'directory' ? 3 : 2

  for (const [what, layer] of layers)
    it(`S-37: ${what}`, { timeout: 60_000 }, async context => {
      using sandbox = place.sandbox()
      const outcomes = new Map<string, number>()
      for (let round = 0; round < rounds; round++) {
        await using _swapping = await startSwapping(sandbox)
        for (const each of [lower, layer]) {
          const outcome = await outcomeOf(sandbox.apply(each))
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        }
        sandbox.assertOutsideUntouched()
      }
      context.diagnostic([...outcomes].map(([outcome, count]) => `${count} × ${outcome}`).join(', '))
    })
})

async function startSwapping({ directory, rootfs }: LayerSandbox): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, [program, rootfs, 'd', join(directory, 'victim')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return { [Symbol.asyncDispose]: () => end(child) }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Failing is fine; anything but a failure that says what has happened is a bug. */
async function outcomeOf(applying: Promise<unknown>): Promise<string> {
  return await applying.then(
    () => 'applied',
    (error: unknown) => {
      assert.ok(isDomainError(error), String(error))
      return error.code
    },
  )
}

function many(...makes: readonly ((index: number) => Buffer)[]): Buffer[] {
  return Array.from({ length: 120 }, (_, index) => makes.map(make => make(index))).flat()
}
