import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { imageManifestOf, type PublishedImage } from '../../../src/importer/smartos/image-manifest.ts'
import { imageUuidOf } from '../../../src/importer/smartos/image-uuid.ts'
import { vmadmPayloadOf } from '../../../src/importer/smartos/vmadm-payload.ts'
import { type Digest, parseDiffId, parseDigest } from '../../../src/storage/digest.ts'
import { parseImageName } from '../../../src/storage/reference.ts'
import { manifestFaults, payloadFaults } from '../../support/triton-rules.ts'

const a = parseDigest(`sha256:${'a'.repeat(64)}`)
const b = parseDigest(`sha256:${'b'.repeat(64)}`)
const importedAt = new Date('2026-02-01T00:00:00Z')

function published(
  change: { blobs?: readonly Digest[]; created?: string; name?: string } = {},
): PublishedImage {
  const { repository, tag } = parseImageName(change.name ?? 'registry.example/team-a/web:1.4')
  return {
    name: { repository, tag },
    config: {
      os: 'linux',
      architecture: 'amd64',
      created: change.created,
      diffIds: [parseDiffId(`sha256:${'c'.repeat(64)}`)],
      process: { Entrypoint: ['/usr/bin/web'], Cmd: ['serve'], Env: ['PORT=8080'], WorkingDir: '/srv' },
    },
    blobs: change.blobs ?? [a, b],
    importedAt,
  }
}

describe('image manifests for imgadm', () => {
  it('says what Triton says of the same image', () => {
    const manifest = imageManifestOf(published({ created: '2026-01-15T08:30:00Z' }))
    assert.deepEqual(manifestFaults(manifest), [])
    assert.deepEqual(manifest, {
      v: 2,
      uuid: 'ccd72292-8bd9-2476-ba17-45586fed6e45',
      owner: '00000000-0000-0000-0000-000000000000',
      name: 'docker-layer',
      version: 'bbbbbbbbbbbb',
      state: 'active',
      disabled: false,
      public: false,
      published_at: '2026-01-15T08:30:00.000Z',
      type: 'docker',
      os: 'linux',
      origin: '9f447b1b-473d-3598-84f2-b8541a1ad0b7',
      description: 'top layer of team-a/web',
      tags: {
        'docker:id': b,
        'docker:repo': 'team-a/web',
        'docker:architecture': 'amd64',
        'docker:tag:1.4': true,
        'docker:config': {
          Cmd: ['serve'],
          Entrypoint: ['/usr/bin/web'],
          Env: ['PORT=8080'],
          WorkingDir: '/srv',
        },
      },
    })
  })

  it('has no origin for a single layer', () =>
    assert.equal('origin' in imageManifestOf(published({ blobs: [a] })), false))

  it('takes any `created`, and none (smartos-live#644)', () => {
    const odd = fc.option(fc.oneof(fc.string(), fc.date().map(String)), { nil: undefined })
    fc.assert(
      fc.property(odd, created =>
        assert.deepEqual(
          manifestFaults(imageManifestOf(published(created === undefined ? {} : { created }))),
          [],
        ),
      ),
    )
  })

  it('is within the rules for the longest repository name', () => {
    const name = `registry.example/${'a'.repeat(250)}:1`
    assert.deepEqual(manifestFaults(imageManifestOf(published({ name }))), [])
  })

  it('the rules are rules: what breaks one is told', () => {
    const manifest = imageManifestOf(published())
    assert.deepEqual(manifestFaults({ ...manifest, chain_id: 'x', os: 'plan9', published_at: 'today' }), [
      'published_at: "today"',
      'os: "plan9"',
      'chain_id: unknown',
    ])
  })
})

describe('payloads for vmadm', () => {
  const parts = {
    image: imageUuidOf([a, b]),
    imageName: 'registry.example/team-a/web:1.4',
    configDigest: a,
    process: { Entrypoint: ['/usr/bin/web'], Env: ['PORT=8080'], User: 'www' },
  }

  it('names the image, and keeps what it runs as data', () => {
    const payload = vmadmPayloadOf({ ...parts, quota: 10 * 1024 ** 3 + 1 })
    assert.deepEqual(payloadFaults(payload), [])
    assert.equal(payload.image_uuid, 'ccd72292-8bd9-2476-ba17-45586fed6e45')
    assert.equal(payload.quota, 11)
    assert.deepEqual(payload.internal_metadata, {
      'docker:imagename': parts.imageName,
      'docker:imageid': a,
      'docker:entrypoint': '["/usr/bin/web"]',
      'docker:cmd': '[]',
      'docker:env': '["PORT=8080"]',
      'docker:user': 'www',
      'docker:workdir': '/',
    })
  })

  it('CVE-2026-53488: nothing that the image says becomes a key', () => {
    const keys = (payload: object): unknown => Object.keys(payload)
    const strings = fc.array(fc.string())
    const hostile = fc.record({
      Entrypoint: strings,
      Cmd: strings,
      Env: strings,
      User: fc.string(),
      WorkingDir: fc.string(),
    })
    fc.assert(
      fc.property(hostile, process => {
        const payload = vmadmPayloadOf({ ...parts, process })
        assert.deepEqual(payloadFaults(payload), [])
        assert.deepEqual(keys(payload), keys(vmadmPayloadOf(parts)))
        assert.deepEqual(keys(payload.internal_metadata), keys(vmadmPayloadOf(parts).internal_metadata))
        assert.deepEqual(JSON.parse(payload.internal_metadata['docker:env'] ?? ''), process.Env)
      }),
    )
  })
})
