import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { parseCloneName } from '../../../src/importer/chain/clone-name.ts'
import { DirectoryChainStore } from '../../../src/importer/chain/directory/directory-chain-store.ts'
import {
  ensureClone,
  type EnsureCloneOptions,
  ensureClones,
  type PendingImport,
  type PullPolicy,
} from '../../../src/importer/clones/ensure-clone.ts'
import type { ClonedImage } from '../../../src/importer/import-service.ts'
import type { Importer } from '../../../src/importer/importer.ts'
import { ImportJobs } from '../../../src/importer/jobs/import-jobs.ts'
import { orAbort } from '../../../src/storage/abortable.ts'
import { defaultPlatform } from '../../../src/storage/platform.ts'
import type { ImageSource } from '../../../src/storage/remote/image-source.ts'
import { RegistryImageSource } from '../../../src/storage/remote/registry-image-source.ts'
import { importerOver } from '../../support/importer-over.ts'
import { rejectsWith } from '../../support/rejects.ts'
import { startRegistry, type TestRegistry } from '../../support/registry.ts'
import { RegistryClient } from '../../support/registry-client.ts'
import { dir, file, tar } from '../../support/tar.ts'
import { type TemporaryDirectory, temporaryDirectory } from '../../support/temporary-directory.ts'
import { pushTestImage } from '../../support/test-images.ts'

const first = tar(dir('etc'), file('etc/name', 'first'))
const second = tar(dir('etc'), file('etc/name', 'second'))
const web = parseCloneName('web')

const skip = process.getuid?.() === 0 ? false : 'layers are applied as root'

/** A registry whose layers do not come while it is held. */
class HeldSource implements ImageSource {
  readonly #source = new RegistryImageSource()
  #held = Promise.withResolvers<void>()
  asked = 0

  constructor() {
    this.#held.resolve()
  }

  hold(): void {
    this.#held = Promise.withResolvers()
  }

  release(): void {
    this.#held.resolve()
  }

  async resolve(...args: Parameters<ImageSource['resolve']>): ReturnType<ImageSource['resolve']> {
    this.asked += 1
    return await this.#source.resolve(...args)
  }

  async openLayer(...args: Parameters<ImageSource['openLayer']>): ReturnType<ImageSource['openLayer']> {
    await orAbort(this.#held.promise, args[2]?.signal)
    return await this.#source.openLayer(...args)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]()
  }
}

describe('ensuring a clone', { skip, timeout: 120_000 }, () => {
  let directory: TemporaryDirectory
  let registry: TestRegistry
  let client: RegistryClient
  let source: HeldSource
  let service: Importer
  let jobs: ImportJobs

  beforeEach(async () => {
    directory = await temporaryDirectory()
    registry = await startRegistry()
    client = new RegistryClient(registry.url)
    source = new HeldSource()
    const chains = await DirectoryChainStore.open({ directory: join(directory.path, 'chains') })
    service = await importerOver(chains, { source })
    jobs = new ImportJobs(service, { atOnce: 2, remembered: 10 })
  })
  afterEach(async () => {
    source.release()
    await jobs[Symbol.asyncDispose]()
    await service[Symbol.asyncDispose]()
    await registry.stop()
    await directory.remove()
  })

  const image = (reference: string): string => `${new URL(registry.url).host}/team/app${reference}`

  async function ensure(
    pull: PullPolicy | undefined,
    options: EnsureCloneOptions = {},
    reference = ':1',
  ): Promise<ClonedImage | PendingImport> {
    const request = { image: image(reference), platform: defaultPlatform, name: web, pull }
    return await ensureClone({ service, jobs }, request, options)
  }

  function made(answer: ClonedImage | PendingImport): ClonedImage {
    assert.ok(!('pending' in answer), 'the import is pending')
    return answer
  }

  it('imports what is missing, and clones it', async () => {
    const digest = await pushTestImage(client, 'team/app', '1', { layers: [first] })
    const clone = made(await ensure('missing'))
    assert.deepEqual([clone.name, clone.manifestDigest], [web, digest])
    assert.deepEqual(readdirSync(join(clone.rootfs, 'etc')), ['name'])
    assert.deepEqual(await ensure('missing'), clone)
    assert.deepEqual(await ensure(undefined), clone)
    assert.equal(source.asked, 1)
  })

  it('never asks a registry when it is told so', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    await rejectsWith('not_found', ensure('never'))
    assert.equal(source.asked, 0)
    await service.import({ image: image(':1'), platform: defaultPlatform })
    made(await ensure('never'))
  })

  it('always asks what the name means now', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    const old = made(await ensure('always'))
    assert.equal(made(await ensure('always')).chain, old.chain)
    const digest = await pushTestImage(client, 'team/app', '1', { layers: [second] })
    assert.equal(made(await ensure('missing')).chain, old.chain)
    const conflict = await rejectsWith('conflict', ensure('always'))
    assert.match(conflict.message, /web/)
    await service.destroyClone(web)
    assert.equal(made(await ensure('always')).manifestDigest, digest)
  })

  it('answers the import when the wait is over first, and the same clone to whoever asks again', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    source.hold()
    const controller = new AbortController()
    const answer = await ensure('missing', { waitMs: 20, signal: controller.signal })
    assert.ok('pending' in answer)
    assert.equal(answer.pending.state, 'running')
    assert.deepEqual(await service.clones(), [])
    const again = await ensure('missing', { waitMs: 0 })
    assert.ok('pending' in again && again.pending.id === answer.pending.id)
    source.release()
    const clones = await Promise.all([ensure('missing'), ensure('missing', { waitMs: 60_000 })])
    assert.deepEqual(clones.map(made)[0], clones.map(made)[1])
    assert.deepEqual(
      jobs.list().map(job => [job.id, job.summary().state]),
      [[answer.pending.id, 'done']],
    )
    assert.deepEqual(getEventListeners(controller.signal, 'abort'), [])
  })

  it('leaves the import to go on when whoever asked goes away', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    source.hold()
    const controller = new AbortController()
    const asking = ensure('missing', { signal: controller.signal, waitMs: 60_000 })
    while (jobs.running === 0) await new Promise(resolve => setImmediate(resolve))
    controller.abort()
    await assert.rejects(asking, { name: 'AbortError' })
    source.release()
    const [job] = jobs.list()
    assert.equal((await job?.ended())?.type, 'done')
  })

  it('fails as the import does', async () => {
    const missing = await rejectsWith('not_found', ensure('missing'))
    assert.match(missing.message, /team\/app/)
    await rejectsWith('invalid', ensure('missing', {}, ':a b'))
  })

  it('tells once, whoever asks again, what the import failed with meanwhile', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [Buffer.alloc(4096, 'x')] })
    source.hold()
    assert.ok('pending' in (await ensure('missing', { waitMs: 0 })))
    source.release()
    await jobs.list()[0]?.ended()
    const failure = await rejectsWith('invalid', ensure('missing', { waitMs: 0 }))
    assert.match(failure.message, /layer/)
    assert.ok('pending' in (await ensure('missing', { waitMs: 0 })))
    await jobs.list()[1]?.ended()
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    await service.import({ image: image(':1'), platform: defaultPlatform })
    made(await ensure('missing', { waitMs: 0 }))
  })

  it('comes to an end for one who asks again and again without waiting, also when it always asks first', async () => {
    const digest = await pushTestImage(client, 'team/app', '1', { layers: [first] })
    assert.ok('pending' in (await ensure('always', { waitMs: 0 })))
    await jobs.list()[0]?.ended()
    assert.equal(made(await ensure('always', { waitMs: 0 })).manifestDigest, digest)
    assert.equal(source.asked, 1)
    assert.ok('pending' in (await ensure('always', { waitMs: 0 })), 'whoever was told asks anew')
  })

  it('takes a name that looks like the beginning of a digest for a name where it would be imported', async () => {
    const digest = await pushTestImage(client, 'team/app', '1', { layers: [first] })
    await service.import({ image: image(':1'), platform: defaultPlatform })
    const wanted: string[] = []
    const refusing = {
      takeEnd: () => undefined,
      ensure: ({ image: name }: { readonly image: string }): never => {
        wanted.push(name)
        throw new DomainError('unavailable', 'No registry here.', { resource: 'image', name })
      },
    }
    const request = { image: digest.slice(7, 19), platform: defaultPlatform, name: web }
    await rejectsWith('unavailable', ensureClone({ service, jobs: refusing }, request))
    assert.deepEqual(wanted, [request.image])
    const never = await ensureClone({ service, jobs: refusing }, { ...request, pull: 'never' })
    assert.equal(made(never).manifestDigest, digest)
    const whole = await ensureClone({ service, jobs: refusing }, { ...request, image: digest })
    assert.deepEqual(made(whole), never)
  })

  it('imports again what somebody removes in between', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    let removals = 1
    const removing = {
      clone: async (...args: Parameters<Importer['clone']>) => {
        const images = await service.images()
        for (const { manifestDigest } of images) if (removals-- > 0) await service.removeImage(manifestDigest)
        return await service.clone(...args)
      },
      cloneMany: (...args: Parameters<Importer['cloneMany']>) => service.cloneMany(...args),
    }
    const request = { image: image(':1'), platform: defaultPlatform, name: web }
    made(await ensureClone({ service: removing, jobs }, request))
    assert.equal(source.asked, 2)
  })

  it('gives up on what somebody removes again and again', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    const removing = {
      clone: async (...args: Parameters<Importer['clone']>) => {
        for (const { manifestDigest } of await service.images()) await service.removeImage(manifestDigest)
        return await service.clone(...args)
      },
      cloneMany: (...args: Parameters<Importer['cloneMany']>) => service.cloneMany(...args),
    }
    const request = { image: image(':1'), platform: defaultPlatform, name: web }
    await rejectsWith('not_found', ensureClone({ service: removing, jobs }, request))
    assert.equal(source.asked, 3)
  })

  it('makes many clones of an image that is imported first', async () => {
    await pushTestImage(client, 'team/app', '1', { layers: [first] })
    const names = ['b', 'a', 'c'].map(parseCloneName)
    const request = { image: image(':1'), platform: defaultPlatform, names }
    source.hold()
    assert.ok('pending' in (await ensureClones({ service, jobs }, request, { waitMs: 0 })))
    source.release()
    const outcomes = await ensureClones({ service, jobs }, request)
    assert.ok(!('pending' in outcomes))
    assert.deepEqual(
      outcomes.map(outcome => ['clone' in outcome, outcome.name]),
      names.map(name => [true, name]),
    )
  })
})
