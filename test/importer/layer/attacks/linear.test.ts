/** S-18 of layers.md 2.C: opaque whiteouts cost what the layer and the directory have, not their product. */
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { CountedCalls } from '../../../support/counted-calls.ts'
import { describeInEachPlace } from '../../../support/layer-places.ts'
import type { LayerSandbox } from '../../../support/layer-sandbox.ts'
import { file, opaque, tar, whiteout } from '../../../support/tar.ts'

/** File system calls for one file and one marker: making or removing it and its directory, with all attributes. */
const callsEach = 15

describeInEachPlace('opaque whiteouts', { timeout: 240_000 }, place => {
  const [count, directories] = place.kind === 'directory' ? [50_000, 10_000] : [2000, 1000]

  it(`S-18: ${count} over a directory of ${count} files (GHSA-rp3h-jf77-q9p4)`, {
    timeout: 120_000,
  }, async context => {
    using sandbox = place.sandbox()
    await sandbox.apply(tar(...each(count, index => file(`d/f${index}`))))
    const markers = each(count, index => (index % 2 === 0 ? opaque('d') : whiteout('d')))
    await applyCounted(context, sandbox, tar(file('d/kept'), ...markers, file('d/late'), opaque('d')), count)
    assert.deepEqual(sandbox.names(), ['d/', 'd/kept', 'd/late'])
  })

  it(`S-18: ${directories} in as many directories, each twice`, { timeout: 120_000 }, async context => {
    using sandbox = place.sandbox()
    const count = directories
    await sandbox.apply(tar(...each(count, index => file(`d/s${index}/old`))))
    const markers = each(count, index => opaque(`d/s${index}`))
    await applyCounted(context, sandbox, tar(...markers, file('d/s0/new'), ...markers), count)
    const names = sandbox.names()
    assert.equal(names.length, count + 2)
    assert.deepEqual(
      names.filter(name => !name.endsWith('/')),
      ['d/s0/new'],
    )
  })

  it('S-18: from the innermost of 200 directories out, and again from the outermost in', async context => {
    using sandbox = place.sandbox()
    const paths = each(200, index => 'a/'.repeat(200 - index).slice(0, -1))
    await sandbox.apply(tar(...paths.map(path => file(`${path}/old`))))
    const outwards = paths.flatMap(path => [file(`${path}/new`), opaque(path)])
    const inwards = paths.toReversed().map(path => opaque(path))
    // Each step goes down up to 200 directories.
    await applyCounted(context, sandbox, tar(...outwards, ...inwards), 200 * 200)
    const names = sandbox.names()
    assert.equal(names.filter(name => name.endsWith('old')).length, 0)
    assert.equal(names.filter(name => name.endsWith('new')).length, 200)
  })
})

async function applyCounted(
  context: TestContext,
  sandbox: LayerSandbox,
  layer: Buffer,
  count: number,
): Promise<void> {
  using calls = new CountedCalls()
  await sandbox.apply(layer)
  context.diagnostic(`${calls.total} calls, ${calls.listed} names listed: ${String(calls)}`)
  assert.ok(calls.total < count * callsEach, `${calls.total} calls`)
  assert.ok(calls.listed <= count * 2 + 10, `${calls.listed} names listed`)
}

function each<Item>(count: number, make: (index: number) => Item): Item[] {
  return Array.from({ length: count }, (_, index) => make(index))
}
