/** Mirror jobs by the program itself, between registries that have nothing in common but the protocol. */
import assert from 'node:assert/strict'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type FixtureImage, fixtureImage, fixturePrograms } from '../../fixtures/make-image.ts'
import { skopeoCopy } from '../../support/client-registry.ts'
import { countUpstream } from '../../support/counted-upstream.ts'
import { startDockerRegistry } from '../../support/docker-registry.ts'
import { eventuallyWithin } from '../../support/eventually.ts'
import { goClient, type Run, skipWithoutClients } from '../../support/go-clients.ts'
import { ImagePusher } from '../../support/image-pusher.ts'
import { skipWithoutOlareg, startOlareg } from '../../support/olareg.ts'
import { skipWithout } from '../../support/programs.ts'
import { runVarve } from '../../support/run-varve.ts'
import { type ServedRegistry, serveRegistry } from '../../support/served-registry.ts'
import { createSigners, type Signers, skipWithoutSigners } from '../../support/signers.ts'
import { temporaryDirectory } from '../../support/temporary-directory.ts'

const skip =
  (await skipWithout('docker-registry', 'skopeo', ...fixturePrograms)) ||
  (await skipWithoutOlareg()) ||
  (await skipWithoutSigners()) ||
  (await skipWithoutClients('crane', 'oras', 'regctl'))

const sbomType = 'application/spdx+json'
const scanType = 'application/vnd.acme.scan+json'
const modelType = 'application/vnd.acme.model'
const kinds = ['docker-registry', 'olareg', 'varve'] as const
type Kind = (typeof kinds)[number]

/** What each source has, but for what signs it. */
interface Content {
  /** `repository:tag`, without tags that only say what refers to an image. */
  readonly images: readonly string[]
  /** `repository@digest`, with which signatures it has. */
  readonly signed: string
  readonly app: string
  readonly multi: string
  /** Of the index, of a platform that sparse copies leave out. */
  readonly arm64: string
}

const repositories = ['acme/debian', 'acme/app', 'acme/model']
/** Referrers' tags (distribution-spec, "Referrers Tag Schema") and cosign's are no images. */
const tags = { exclude: ['sha256-.*'] }

describe('varve mirror, from and to real registries', { skip }, () => {
  const stack = new AsyncDisposableStack()
  let directory: string
  let fixture: FixtureImage
  let signers: Signers
  let crane: Run
  let oras: Run
  let regctl: Run
  const sources = {} as Record<Kind, string>
  const targets = {} as Record<Kind, string>
  const content = {} as Record<Kind, Content>
  let own: ServedRegistry

  before(async () => {
    directory = stack.use(await temporaryDirectory()).path
    fixture = await fixtureImage()
    const home = join(directory, 'signers')
    await mkdir(home)
    signers = await createSigners(home)
    own = stack.use(await serveRegistry(join(directory, 'own')))
    for (const [places, name] of [
      [sources, 'source'],
      [targets, 'target'],
    ] as const) {
      const docker = await startDockerRegistry(join(directory, `${name}-docker`))
      stack.defer(() => docker.stop())
      const olareg = await startOlareg(join(directory, `${name}-olareg`))
      stack.defer(() => olareg.stop())
      const varve = name === 'target' ? own : stack.use(await serveRegistry(join(directory, name)))
      places['docker-registry'] = new URL(docker.url).host
      places.olareg = new URL(olareg.url).host
      places.varve = new URL(varve.url).host
    }
    const place = { host: own.url, directory }
    crane = await goClient('crane', place)
    oras = await goClient('oras', place)
    // It is told of one registry at a time which is without TLS.
    regctl = async (...args) => {
      const host = args.at(-1)?.split('/', 1)[0] ?? ''
      return await (await goClient('regctl', { host, directory }))(...args)
    }
    for (const kind of kinds) content[kind] = await fill(sources[kind])
  })
  after(() => stack.disposeAsync())

  async function fill(host: string): Promise<Content> {
    for (const { tag } of [fixture.branch, fixture.index]) {
      const all = ['--all', '--preserve-digests', `oci:${fixture.layout}:${tag}`]
      await skopeoCopy(...all, `docker://${host}/acme/debian:${tag}`)
    }
    const pusher = new ImagePusher(`http://${host}`)
    const layers = [Buffer.alloc(300_000, 'base'), Buffer.from('app')]
    const app = await pusher.image('acme/app', 'v1', { layers })
    await pusher.image('acme/app', 'docker', { form: 'docker', layers })
    const arm64 = await pusher.image('acme/app', undefined, { layers: [Buffer.from('arm64')] })
    const multi = await pusher.index('acme/app', 'multi', [app, arm64])
    for (const [file, text] of [
      ['model.bin', 'weights'],
      ['sbom.json', '{"packages":[]}'],
      ['scan.json', '{"findings":[]}'],
    ] as const)
      await writeFile(join(directory, file), text)
    await oras(
      ...['push', '--plain-http', `--artifact-type=${modelType}`],
      ...[`${host}/acme/model:v1`, `model.bin:${modelType}`],
    )
    await attach(`${host}/acme/model:v1`, sbomType, 'sbom.json')
    await attach(`${host}/acme/app@${arm64.digest}`, sbomType, 'sbom.json')
    await attach(`${host}/acme/app@${multi.digest}`, sbomType, 'sbom.json')
    const [sbom] = await referrersOf(`${host}/acme/app@${multi.digest}`)
    await attach(`${host}/acme/app@${sbom?.digest}`, scanType, 'scan.json')
    const signed = `acme/app@${multi.digest}`
    for (const form of ['tag', 'bundle'] as const) await signers.cosign.sign(`${host}/${signed}`, form)
    await signers.notation.sign(`${host}/${signed}`, 'jws')
    await signers.notation.sign(`${host}/acme/app@${app.digest}`, 'cose')
    return {
      images: [
        ...[fixture.branch, fixture.index].map(({ tag }) => `acme/debian:${tag}`),
        ...['acme/app:v1', 'acme/app:docker', 'acme/app:multi', 'acme/model:v1'],
      ],
      signed,
      app: `acme/app@${app.digest}`,
      multi: multi.digest,
      arm64: `acme/app@${arm64.digest}`,
    }
  }

  async function attach(subject: string, type: string, file: string): Promise<void> {
    await oras('attach', '--plain-http', `--artifact-type=${type}`, subject, `${file}:${type}`)
  }

  async function referrersOf(image: string): Promise<readonly Referrer[]> {
    const listed = JSON.parse(await oras('discover', '--plain-http', '--format=json', image)) as Listing
    return (listed.referrers ?? listed.manifests ?? []).map(({ digest, artifactType }) => ({
      digest,
      artifactType,
    }))
  }

  async function run(job: object, ...more: readonly string[]): Promise<RunTotals> {
    const file = join(directory, 'job.json')
    await writeFile(file, JSON.stringify(job))
    const { code, stdout, stderr } = await runVarve([
      ...['mirror', 'run', '--file', file, '--data', join(directory, 'own')],
      ...more,
    ])
    assert.equal(code, 0, stdout + stderr)
    return (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { totals: RunTotals }).totals
  }

  /** All blobs and manifests below the image and all that refers to it, as oras finds and checks them. */
  async function closureOf(image: string, name: string): Promise<readonly string[]> {
    const layout = join(directory, name)
    await oras('copy', '--recursive', '--from-plain-http', image, '--to-oci-layout', `${layout}:it`)
    return (await readdir(join(layout, 'blobs/sha256'))).sort()
  }

  for (const from of kinds)
    for (const to of kinds)
      describe(`from ${from} to ${to === 'varve' ? 'our own stores' : to}`, () => {
        const prefix = `from-${from}/`
        const job = () => ({
          name: `${from}-${to}`,
          source: { registry: sources[from] },
          target: { ...(to === 'varve' ? {} : { registry: targets[to] }), prefix },
          repositories,
          tags,
        })
        const there = (image: string) => `${targets[to]}/${prefix}${image}`
        const here = (image: string) => `${sources[from]}/${image}`

        it('copies all images, and nothing is another there', async () => {
          const totals = await run(job())
          const { images, signed } = content[from]
          assert.deepEqual([totals.copied, totals.failed], [images.length, 0])
          for (const image of images)
            assert.equal(await crane('digest', there(image)), await crane('digest', here(image)), image)
          const raw = ['manifest', 'get', '--format', 'raw-body']
          assert.equal(await regctl(...raw, there(signed)), await regctl(...raw, here(signed)))
        })

        // It unpacks them all.
        if (from === 'docker-registry')
          it('has the layers that the images name', async () => {
            const { tag } = fixture.branch
            await crane('validate', '--remote', there(`acme/debian:${tag}`))
          })

        it('copies all that refers to them, and what refers to that', async () => {
          const { images, arm64 } = content[from]
          const [multi] = images.filter(image => image.endsWith(':multi'))
          assert.ok(multi !== undefined)
          for (const image of [multi, arm64, 'acme/model:v1']) {
            const name = `${from}-${to}-${image.replaceAll(/\W/g, '-')}`
            const [before, now] = [
              await closureOf(here(image), name),
              await closureOf(there(image), `${name}-copy`),
            ]
            assert.deepEqual(now, before, image)
          }
          const types = (await referrersOf(there(multi))).map(({ artifactType }) => artifactType)
          assert.ok(types.includes(sbomType), types.join())
          const [sbom] = (await referrersOf(there(multi))).filter(one => one.artifactType === sbomType)
          const nested = await referrersOf(there(`acme/app@${sbom?.digest}`))
          assert.deepEqual(
            nested.map(({ artifactType }) => artifactType),
            [scanType],
          )
        })

        it('leaves signatures that cosign and notation take', async () => {
          const { signed, app } = content[from]
          await signers.cosign.verify(there(signed), 'tag')
          await signers.cosign.verify(there(signed), 'bundle')
          await signers.notation.verify(there(signed), 'jws')
          await signers.notation.verify(there(app), 'cose')
        })

        it('costs one HEAD for each tag the next time', async () => {
          const totals = await run(job())
          const { images } = content[from]
          assert.deepEqual(
            [totals.copied, totals.unchanged, totals.failed, totals.blobsCopied],
            [0, images.length, 0, 0],
          )
          assert.equal(totals.bytesReceived + totals.bytesSent, 0)
        })
      })

  describe('of some platforms', () => {
    for (const from of kinds)
      it(`keeps the index as it is, from ${from}`, async () => {
        const prefix = `sparse-${from}/`
        await run({
          name: `sparse-${from}`,
          source: { registry: sources[from] },
          target: { prefix },
          repositories: ['acme/app'],
          tags: { names: ['multi'] },
          platforms: ['linux/amd64'],
        })
        const there = (image: string) => `${targets.varve}/${prefix}${image}`
        const { multi, app, arm64, signed } = content[from]
        assert.equal((await crane('digest', there('acme/app:multi'))).trim(), multi)
        await crane('manifest', there(app))
        await assert.rejects(crane('manifest', there(arm64)), /MANIFEST_UNKNOWN|404/)
        await signers.cosign.verify(there(signed), 'tag')
        await signers.cosign.verify(there(signed), 'bundle')
        await signers.notation.verify(there(signed), 'jws')
      })
  })

  it('copies one image in place of the index, when it is told so', async () => {
    await run({
      name: 'single',
      source: { registry: sources['docker-registry'] },
      target: { registry: targets.olareg, prefix: 'single/' },
      repositories: ['acme/app'],
      tags: { names: ['multi'] },
      platforms: ['linux/amd64'],
      platformMode: 'single',
    })
    const { app } = content['docker-registry']
    const digest = (await crane('digest', `${targets.olareg}/single/acme/app:multi`)).trim()
    assert.equal(`acme/app@${digest}`, app)
    await signers.notation.verify(`${targets.olareg}/single/${app}`, 'cose')
  })

  it('varve copy takes a signed image into a directory, and out of it again', async () => {
    const { multi, signed } = content['docker-registry']
    const layout = `oci:${join(directory, 'copied')}:multi`
    for (const [from, to] of [
      [`${sources['docker-registry']}/acme/app:multi`, layout],
      [layout, `${targets.olareg}/copied/acme/app:multi`],
    ] as const) {
      const { code, stderr } = await runVarve(['copy', '--legacy-cosign-tags', from, to])
      assert.equal(code, 0, stderr)
    }
    const there = (image: string) => `${targets.olareg}/copied/${image}`
    assert.equal((await crane('digest', there('acme/app:multi'))).trim(), multi)
    for (const form of ['tag', 'bundle'] as const) await signers.cosign.verify(there(signed), form)
    await signers.notation.verify(there(signed), 'jws')
  })

  it('varve copy that was killed between a signature and the list that names it makes up for it', async () => {
    // It keeps no such lists itself.
    await using target = await countUpstream(`http://${targets['docker-registry']}`)
    const { signed } = content.varve
    const copy = ['copy', `${sources.varve}/acme/app:multi`, `${target.host}/killed/acme/app:multi`]
    let kills = 0
    const killed = await runVarve(copy, child => {
      target.answers = ({ method, url = '' }, response) => {
        if (method !== 'PUT' || !/\/manifests\/sha256-[0-9a-f]{64}$/.test(url)) return false
        kills += 1
        child.kill('SIGKILL')
        response.destroy()
        return true
      }
    })
    assert.equal(killed.code, null)
    assert.ok(kills > 0)
    target.answers = undefined
    const { code, stderr } = await runVarve(copy)
    assert.equal(code, 0, stderr)
    const there = `${targets['docker-registry']}/killed/${signed}`
    await signers.cosign.verify(there, 'bundle')
    await signers.notation.verify(there, 'jws')
    const types = (await referrersOf(there)).map(({ artifactType }) => artifactType)
    assert.ok(types.includes(sbomType), types.join())
  })

  it('copies from our own stores to elsewhere', async () => {
    const prefix = 'from-own/'
    const totals = await run({
      name: 'outwards',
      source: {},
      target: { registry: targets['docker-registry'], stripPrefix: 'from-olareg/', prefix },
      repositories: ['from-olareg/**'],
      tags,
    })
    assert.deepEqual([totals.copied, totals.failed], [content.olareg.images.length, 0])
    assert.equal(totals.bytesReceived, 0)
    const there = `${targets['docker-registry']}/${prefix}${content.olareg.signed}`
    await signers.cosign.verify(there, 'bundle')
    await signers.notation.verify(there, 'jws')
  })

  it('copies only what is signed, when it is told so', async () => {
    const totals = await run({
      name: 'signed',
      source: { registry: sources['docker-registry'] },
      target: { prefix: 'signed/' },
      repositories: ['acme/app'],
      tags,
      onlySigned: true,
    })
    assert.deepEqual([totals.copied, totals.skipped, totals.failed], [2, 1, 0])
  })

  it('is done by a registry that serves, by its schedule, with what comes later', async () => {
    const config = join(directory, 'scheduled.json')
    const job = {
      name: 'scheduled',
      source: { registry: sources['docker-registry'] },
      target: {},
      repositories: ['acme/app'],
      tags,
      schedule: { cron: '* * * * * *', jitterSeconds: 0 },
      referrers: { recheckHours: 0 },
    }
    await writeFile(config, JSON.stringify({ mirror: { jobs: [job] } }))
    await using target = await serveRegistry(join(directory, 'scheduled'), '--config', config)
    const there = (image: string) => `${new URL(target.url).host}/${image}`
    const { signed, app } = content['docker-registry']
    const isThere = async (image: string) =>
      await crane('digest', there(image)).then(
        () => true,
        () => false,
      )
    await eventuallyWithin(120, 'the signed image', async () => await isThere('acme/app:multi'))
    for (const form of ['tag', 'bundle'] as const) await signers.cosign.verify(there(signed), form)
    await signers.cosign.sign(`${sources['docker-registry']}/${app}`, 'bundle')
    await eventuallyWithin(120, 'a signature that was made later', async () =>
      (await referrersOf(there(app))).some(({ artifactType }) => artifactType?.includes('sigstore')),
    )
    await signers.cosign.verify(there(app), 'bundle')
  })
})

interface RunTotals {
  readonly copied: number
  readonly unchanged: number
  readonly skipped: number
  readonly failed: number
  readonly blobsCopied: number
  readonly bytesReceived: number
  readonly bytesSent: number
}

interface Referrer {
  readonly digest: string
  readonly artifactType?: string | undefined
}

interface Listing {
  readonly referrers?: readonly Referrer[]
  readonly manifests?: readonly Referrer[]
}
