import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ClientRegistry, startClientRegistry } from '../../support/client-registry.ts'
import { goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'

const types = Object.freeze({
  /** What cosign 3 attaches. */
  signature: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  spdx: 'application/spdx+json',
  cycloneDx: 'application/vnd.cyclonedx+json',
})

describe('referrers', { skip: await skipWithoutClients('oras', 'regctl') }, () => {
  let registry: ClientRegistry
  let oras: Run
  let regctl: Run
  before(async () => {
    registry = await startClientRegistry()
    oras = await goClient('oras', registry)
    regctl = await goClient('regctl', registry)
    for (const name of ['signature', 'spdx', 'cycloneDx'] as const)
      await writeFile(join(registry.directory, `${name}.json`), JSON.stringify({ name }))
  })
  after(() => registry.stop())

  /** A repository with an image of one platform, and an index, to attach to. */
  const subjects = async (name: string): Promise<{ image: string; index: string }> => {
    const { host, origin, fixture } = registry
    const repository = `${host}/${name}`
    for (const { tag } of [fixture.branch, fixture.index])
      await oras(
        'copy',
        '--from-plain-http',
        '--to-plain-http',
        `${host}/${origin}:${tag}`,
        `${repository}:${tag}`,
      )
    return { image: `${repository}:${fixture.branch.tag}`, index: `${repository}:${fixture.index.tag}` }
  }
  const attachWithOras = (subject: string, name: keyof typeof types): Promise<string> =>
    oras('attach', '--plain-http', `--artifact-type=${types[name]}`, subject, `${name}.json:${types[name]}`)
  const attachWithRegctl = (subject: string, name: keyof typeof types): Promise<string> => {
    const file = [`--file=${name}.json`, `--file-media-type=${types[name]}`]
    return regctl('artifact', 'put', `--artifact-type=${types[name]}`, ...file, `--subject=${subject}`)
  }
  const foundByOras = async (subject: string, ...options: readonly string[]): Promise<string[]> =>
    typesOf(await oras('discover', '--plain-http', '--format=json', ...options, subject))
  const foundByRegctl = async (subject: string, ...options: readonly string[]): Promise<string[]> =>
    typesOf(await regctl('artifact', 'list', '--format={{json .Manifest}}', ...options, subject))

  it('are found by oras and by regctl, whoever attached them, on images and on indexes', async () => {
    const { image, index } = await subjects('referrers/found')
    for (const subject of [image, index]) {
      await attachWithOras(subject, 'signature')
      await attachWithRegctl(subject, 'spdx')
      await attachWithOras(subject, 'cycloneDx')
      const all = [types.signature, types.spdx, types.cycloneDx].sort()
      assert.deepEqual(await foundByOras(subject), all)
      assert.deepEqual(await foundByRegctl(subject), all)
    }
  })

  it('are filtered by their type', async () => {
    const { image } = await subjects('referrers/filtered')
    await attachWithOras(image, 'signature')
    await attachWithRegctl(image, 'spdx')
    assert.deepEqual(await foundByOras(image, `--artifact-type=${types.spdx}`), [types.spdx])
    assert.deepEqual(await foundByRegctl(image, `--filter-artifact-type=${types.signature}`), [
      types.signature,
    ])
  })

  it('never need a fallback tag', async () => {
    const { fixture } = registry
    const { image, index } = await subjects('referrers/tags')
    await attachWithOras(image, 'signature')
    await attachWithRegctl(index, 'signature')
    assert.deepEqual(await registry.tags('referrers/tags'), [fixture.branch.tag, fixture.index.tag].sort())
  })

  it('have bytes that regctl gets through their subject', async () => {
    const { image } = await subjects('referrers/content')
    await attachWithOras(image, 'spdx')
    const got = await regctl('artifact', 'get', `--subject=${image}`, `--filter-artifact-type=${types.spdx}`)
    assert.equal(got, '{"name":"spdx"}')
  })

  it('go with their subject to another repository', async () => {
    const { host, fixture } = registry
    const { image } = await subjects('referrers/origin')
    await attachWithOras(image, 'signature')
    await attachWithRegctl(image, 'spdx')
    const all = [types.signature, types.spdx].sort()
    const byOras = `${host}/referrers/by-oras:${fixture.branch.tag}`
    await oras('copy', '--recursive', '--from-plain-http', '--to-plain-http', image, byOras)
    assert.deepEqual(await foundByRegctl(byOras), all)
    const byRegctl = `${host}/referrers/by-regctl:${fixture.branch.tag}`
    await regctl('image', 'copy', '--referrers', image, byRegctl)
    assert.deepEqual(await foundByOras(byRegctl), all)
  })

  it('are gone when they are deleted', async () => {
    const { host } = registry
    const { image } = await subjects('referrers/deleted')
    await attachWithOras(image, 'spdx')
    await attachWithOras(image, 'signature')
    const [digest] = digestsOf(
      await oras('discover', '--plain-http', '--format=json', `--artifact-type=${types.spdx}`, image),
    )
    await oras('manifest', 'delete', '--plain-http', '--force', `${host}/referrers/deleted@${digest}`)
    assert.deepEqual(await foundByOras(image), [types.signature])
    assert.deepEqual(await foundByRegctl(image), [types.signature])
  })
})

interface Listing {
  readonly manifests?: readonly { readonly artifactType: string; readonly digest: string }[]
}

function typesOf(json: string): string[] {
  return ((JSON.parse(json) as Listing).manifests ?? []).map(({ artifactType }) => artifactType).sort()
}

function digestsOf(json: string): string[] {
  return ((JSON.parse(json) as Listing).manifests ?? []).map(({ digest }) => digest)
}
