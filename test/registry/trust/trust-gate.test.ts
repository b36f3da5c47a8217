/** Who may pull what, where a tenant has a trust policy. */
import assert from 'node:assert/strict'
import { randomBytes, sign } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { DomainError } from '../../../src/errors.ts'
import { TenantPolicies } from '../../../src/registry/trust/tenant-policies.ts'
import { TrustGate } from '../../../src/registry/trust/trust-gate.ts'
import { type Digest, digestOf, hexOf } from '../../../src/storage/digest.ts'
import { mediaTypes } from '../../../src/storage/media-types.ts'
import type { RepositoryName } from '../../../src/storage/reference.ts'
import { simpleSigningPayload } from '../../support/sigstore.ts'
import { type CosignLayer, startTrustRegistry, type TrustRegistry } from '../../support/trust-registry.ts'
import { ecKeyPair } from '../../support/x509.ts'

const simpleSigning = 'application/vnd.dev.cosign.simplesigning.v1+json'
const gzip = Buffer.from('1f8b0800000000000003', 'hex')

describe('The trust gate', () => {
  const keys = ecKeyPair()
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'pem' })
  const policy = { name: 'signed', images: '**', require: [{ cosign: { keys: [publicKey] } }] }
  let registry: TrustRegistry
  let repository: string

  before(async () => {
    registry = await startTrustRegistry()
    repository = `${await registry.tenantWith(policy)}/app`
  })
  after(() => registry[Symbol.asyncDispose]())

  const signatureOf = (image: Digest, { privateKey } = keys): CosignLayer => {
    const payload = simpleSigningPayload(image)
    const signature = sign('sha256', payload, privateKey).toString('base64')
    return { payload, annotations: { 'dev.cosignproject.cosign/signature': signature } }
  }
  const signImage = (image: Digest, where = repository) =>
    registry.putCosign(where, image, [signatureOf(image)])
  const statusOf = async (reference: string, where = repository) =>
    (await registry.pull(where, reference)).status

  it('refuses what is not signed, says why and how to mend it, and records no pull', async () => {
    const image = await registry.putImage(repository, 'unsigned', 'unsigned')
    const { status, code, message } = await registry.pull(repository, 'unsigned')
    assert.deepEqual([status, code], [403, 'DENIED'])
    const named = `${repository}@${image}`
    assert.match(
      message,
      new RegExp(`^${named} .* policy signed of acme\\d+: it has no signature; have it signed`),
    )
    assert.ok(!registry.pulls.includes(image))
  })

  it('lets a signed one through from the moment at which it is signed, and records the pull', async () => {
    const image = await registry.putImage(repository, 'signed at once', 'at-once')
    assert.equal(await statusOf('at-once'), 403)
    await signImage(image)
    assert.equal(await statusOf('at-once'), 200)
    assert.equal(await statusOf(image), 200)
    assert.equal(registry.pulls.filter(digest => digest === image).length, 2)
  })

  it('refuses it again once the signature is gone', async () => {
    const image = await registry.putImage(repository, 'signed no more')
    const signature = await signImage(image)
    assert.equal(await statusOf(image), 200)
    await registry.metadata.deleteManifest(repository as RepositoryName, signature)
    assert.equal(await statusOf(image), 403)
  })

  it('lets those who may push read what they are to sign', async () => {
    const image = await registry.putImage(repository, 'to be signed')
    assert.equal((await registry.pull(repository, image, 'pusher')).status, 200)
  })

  it('asks everybody where the policy says so', async () => {
    const strict = `${await registry.tenantWith({ ...policy, appliesTo: 'everybody' })}/app`
    const image = await registry.putImage(strict, 'strict')
    assert.equal((await registry.pull(strict, image, 'pusher')).status, 403)
    await signImage(image, strict)
    assert.equal((await registry.pull(strict, image, 'pusher')).status, 200)
  })

  it('only warns where the policy says so', async () => {
    const warned = `${await registry.tenantWith({ ...policy, name: 'a "test" ✓', mode: 'warn' })}/app`
    const image = await registry.putImage(warned, 'warned')
    const { status, warning } = await registry.pull(warned, image)
    assert.equal(status, 200)
    assert.match(warning ?? '', /^299 - "acme.* policy a \\"test\\" \? of .*: it has no signature\."$/)
    await signImage(image, warned)
    assert.equal((await registry.pull(warned, image)).warning, null)
  })

  it('asks nothing of other repositories, and nothing of tenants without a policy', async () => {
    const tenant = await registry.tenantWith({ ...policy, images: 'nobody/**' })
    for (const where of [`${tenant}/app`, 'nobody-at-all/app']) {
      const image = await registry.putImage(where, 'free')
      assert.equal(await statusOf(image, where), 200)
    }
  })

  it('wants all policies that fit to be satisfied', async () => {
    const others = ecKeyPair()
    const second = others.publicKey.export({ type: 'spki', format: 'pem' })
    const both = `${await registry.tenantWith([policy, { images: '**', require: [{ cosign: { keys: [second] } }] }])}/app`
    const image = await registry.putImage(both, 'two policies')
    await registry.putCosign(both, image, [signatureOf(image)])
    assert.equal(await statusOf(image, both), 403)
    await registry.putCosign(both, image, [signatureOf(image), signatureOf(image, others)])
    assert.equal(await statusOf(image, both), 200)
  })

  it('gives nothing away where the policy cannot be understood, but lets it be mended', async () => {
    for (const broken of ['', '{', '[]', '{"images":"**","require":[]}']) {
      const where = `${await registry.tenantWith(broken)}/app`
      const image = await registry.putImage(where, 'broken policy')
      const { status, message } = await registry.pull(where, image)
      assert.equal(status, 403)
      assert.match(message, /cannot be understood/)
      assert.equal((await registry.pull(where, image, 'pusher')).status, 200)
    }
  })

  it('asks again of who has the image already (304)', async () => {
    const image = await registry.putImage(repository, 'cached by the client')
    const headers = { authorization: 'Basic reader', 'if-none-match': `"${image}"` }
    const get = () => fetch(`${registry.url}/v2/${repository}/manifests/${image}`, { headers })
    assert.equal((await get()).status, 403)
    await signImage(image)
    assert.equal((await get()).status, 304)
  })

  it('leaves HEAD, blobs, referrers, tags and pushes alone', async () => {
    const image = await registry.putImage(repository, 'left alone')
    const headers = { authorization: 'Basic reader' }
    for (const [method, path, expected] of [
      ['HEAD', `manifests/${image}`, 200],
      ['GET', `blobs/${digestOf(Buffer.from('left alone'))}`, 200],
      ['GET', `referrers/${image}`, 200],
      ['GET', 'tags/list', 200],
      ['GET', `manifests/${digestOf(Buffer.from('absent'))}`, 404],
    ] as const) {
      const { status } = await fetch(`${registry.url}/v2/${repository}/${path}`, { method, headers })
      assert.equal(status, expected, path)
    }
  })

  it('judges the very bytes that it gives away, however fast a tag turns', async () => {
    const [good, bad] = [
      await registry.putImage(repository, 'good'),
      await registry.putImage(repository, 'bad'),
    ]
    await signImage(good)
    const bytesOf = async (digest: Digest) => {
      const found = await registry.metadata.getManifest(repository as RepositoryName, {
        kind: 'digest',
        digest,
      })
      return { type: found.mediaType, bytes: found.bytes }
    }
    const [goodContent, badContent] = [await bytesOf(good), await bytesOf(bad)]
    const gate = new TrustGate({
      policies: new TenantPolicies(registry.metadata),
      judge: registry.judge,
      // Whoever asked for the tag again would get the other one.
      records: { getManifest: () => Promise.reject(new Error('asked again')) },
    })
    const request = {
      params: { name: repository, reference: 'turning' },
      facts: { caller: { mayPush: () => Promise.resolve(false) } },
      signal: AbortSignal.timeout(60_000),
    }
    const answer = (digest: Digest, content: typeof goodContent) =>
      gate.around('manifest.get', () => ({
        status: 200,
        headers: { 'Docker-Content-Digest': digest },
        content,
      }))(request as never)
    assert.equal((await answer(good, goodContent)).status, 200)
    await assert.rejects(
      async () => await answer(bad, badContent),
      error =>
        error instanceof DomainError &&
        error.code === 'denied' &&
        error.details.rule?.includes('signed') === true,
    )
  })

  describe('and signatures that are not what they seem', () => {
    for (const [what, layers, reason] of [
      [
        'of another image',
        () => [signatureOf(digestOf(Buffer.from('other')))],
        /1 signature, which is of another image/,
      ],
      [
        'by another key',
        image => [signatureOf(image, ecKeyPair())],
        /by a key that the policy does not name/,
      ],
      [
        'of a payload that was swapped',
        image => [{ ...signatureOf(digestOf(Buffer.from('x'))), payload: simpleSigningPayload(image) }],
        /by a key/,
      ],
      [
        'without a signature',
        image => [{ ...signatureOf(image), annotations: {} }],
        /no signature in its annotations/,
      ],
      [
        'that are no Base64',
        image => [{ ...signatureOf(image), annotations: { 'dev.cosignproject.cosign/signature': '%%%' } }],
        /by a key|cannot be read/,
      ],
      [
        'whose payload is huge',
        () => [
          {
            payload: Buffer.alloc(2 * 1024 * 1024, 0x20),
            annotations: { 'dev.cosignproject.cosign/signature': 'AAAA' },
          },
        ],
        /too large/,
      ],
      [
        'with broken certificates',
        image => [
          {
            ...signatureOf(image),
            annotations: { ...signatureOf(image).annotations, 'dev.sigstore.cosign/certificate': 'x' },
          },
        ],
        /annotations that cannot be read/,
      ],
      [
        'of which there are many',
        image =>
          Array.from({ length: 20 }, (_, index) =>
            signatureOf(index % 2 === 0 ? image : digestOf(Buffer.from('other')), ecKeyPair()),
          ),
        /20 signatures: 10 .*; 10 /,
      ],
    ] as const satisfies readonly (readonly [string, (image: Digest) => readonly CosignLayer[], RegExp])[])
      it(`refuses those ${what}`, async () => {
        const image = await registry.putImage(repository, `seems ${what}`)
        await registry.putCosign(repository, image, layers(image))
        const { status, message } = await registry.pull(repository, image)
        assert.equal(status, 403)
        assert.match(message, reason)
      })

    it('looks at the newest of thousands, and at no more than it can', async () => {
      const image = await registry.putImage(repository, 'thousands')
      const junk = signatureOf(image, ecKeyPair())
      const descriptor = {
        mediaType: simpleSigning,
        size: junk.payload.length,
        digest: await registry.putBlob(repository, junk.payload),
        annotations: junk.annotations,
      }
      const good = { ...descriptor, annotations: signatureOf(image).annotations }
      const put = (layers: readonly object[]) =>
        registry.putManifest(
          repository,
          {
            schemaVersion: 2,
            mediaType: mediaTypes.ociManifest,
            config: { mediaType: mediaTypes.ociConfig, size: 2, digest: digestOf(Buffer.from('{}')) },
            layers,
          },
          `${image.replace(':', '-')}.sig`,
        )
      const many = Array(2000).fill(descriptor)
      await put([good, ...many])
      assert.match((await registry.pull(repository, image)).message, /32 signatures/)
      await put([...many, good])
      assert.equal(await statusOf(image), 200)
    })

    it('is not held up by many who ask at once, nor by who has gone', async () => {
      const image = await registry.putImage(repository, 'many at once')
      const payload = Buffer.alloc(1024 * 1024, 0x20)
      const junk = { payload, annotations: { 'dev.cosignproject.cosign/signature': 'AAAA' } }
      await registry.putCosign(repository, image, Array(32).fill(junk))
      const headers = { authorization: 'Basic reader' }
      const leaving = AbortSignal.timeout(20)
      const get = (signal?: AbortSignal) =>
        fetch(`${registry.url}/v2/${repository}/manifests/${image}`, { headers, ...(signal && { signal }) })
      const gone = Array.from({ length: 10 }, () => get(leaving).catch(() => undefined))
      const answers = await Promise.all(Array.from({ length: 30 }, () => get()))
      assert.ok(answers.every(({ status }) => status === 403))
      await Promise.all([...gone, ...answers.map(answer => answer.text())])
    })

    it('takes an index under the name of a signature for none', async () => {
      const image = await registry.putImage(repository, 'index as signature')
      await registry.putIndex(repository, [image], `${image.replace(':', '-')}.sig`)
      assert.match((await registry.pull(repository, image)).message, /in an index/)
    })

    it('refuses images that are dressed up as signatures', async () => {
      const layer = await registry.putBlob(repository, Buffer.concat([gzip, randomBytes(20)]))
      const config = await registry.putBlob(repository, Buffer.from('{}'))
      for (const [mediaType, artifactType] of [
        [simpleSigning, undefined],
        ['application/jose+json', 'application/vnd.cncf.notary.signature'],
        ['application/vnd.oci.image.layer.v1.tar+gzip', 'application/vnd.dev.sigstore.bundle.v0.3+json'],
      ] as const) {
        const disguised = await registry.putManifest(repository, {
          schemaVersion: 2,
          mediaType: mediaTypes.ociManifest,
          artifactType,
          config: { mediaType: mediaTypes.ociConfig, size: 2, digest: config },
          layers: [{ mediaType, size: 30, digest: layer }],
        })
        assert.equal(await statusOf(disguised), 403, mediaType)
      }
    })

    it('refuses an index of nothing, and one that nests too deep', async () => {
      assert.equal(await statusOf(await registry.putIndex(repository, [])), 403)
      const image = await registry.putImage(repository, 'deep')
      await signImage(image)
      let index = image
      const statuses: number[] = []
      for (let depth = 0; depth < 6; depth += 1) {
        index = await registry.putIndex(repository, [index])
        statuses.push(await statusOf(index))
      }
      assert.deepEqual(statuses.slice(0, 3), [200, 200, 200])
      assert.equal(statuses.at(-1), 403)
    })

    it('takes no signature for another image, though it has been found good for its own', async () => {
      const [mine, other] = [
        await registry.putImage(repository, 'whose signature is borrowed'),
        await registry.putImage(repository, 'that borrows it'),
      ]
      const digest = await signImage(mine)
      assert.equal(await statusOf(mine), 200)
      const name = repository as RepositoryName
      const borrowed = await registry.metadata.getManifest(name, { kind: 'digest', digest })
      const manifest = JSON.parse(Buffer.from(borrowed.bytes).toString())
      assert.equal(
        await registry.putManifest(repository, manifest, `sha256-${hexOf(other)}.sig`),
        digest,
        'the same manifest',
      )
      assert.equal(await statusOf(other), 403)
      assert.equal(await statusOf(mine), 200)
    })

    it('takes no signature out of another repository', async () => {
      const elsewhere = `${await registry.tenantWith(policy)}/app`
      const image = await registry.putImage(repository, 'signed elsewhere')
      await registry.putImage(elsewhere, 'signed elsewhere')
      await signImage(image, elsewhere)
      assert.equal(await statusOf(image, elsewhere), 200)
      assert.equal(await statusOf(image), 403)
    })
  })
})
