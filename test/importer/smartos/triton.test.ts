import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import {
  chainOfManifest,
  imageManifestOf,
  type ManifestParts,
} from '../../../src/importer/smartos/image-manifest.ts'
import { imageUuidOf } from '../../../src/importer/smartos/image-uuid.ts'
import { tritonImageOf } from '../../../src/importer/smartos/triton-image.ts'
import { vmadmPayloadOf } from '../../../src/importer/smartos/vmadm-payload.ts'
import { chainIdsOf } from '../../../src/storage/chain-id.ts'
import { type Digest, parseDiffId, parseDigest } from '../../../src/storage/digest.ts'
import { parseImageConfig } from '../../../src/storage/image-config.ts'
import { parseImageName } from '../../../src/storage/reference.ts'
import { manifestFaults, payloadFaults } from '../../support/triton-rules.ts'

const a = parseDigest(`sha256:${'a'.repeat(64)}`)
const b = parseDigest(`sha256:${'b'.repeat(64)}`)
const diffId = parseDiffId(`sha256:${'c'.repeat(64)}`)
const importedAt = new Date('2026-02-01T00:00:00Z')

function published(
  change: { blobs?: readonly Digest[]; created?: string; name?: string } = {},
): ManifestParts {
  const { repository, tag } = parseImageName(change.name ?? 'registry.example/team-a/web:1.4')
  return {
    name: { repository, tag },
    config: {
      os: 'linux',
      architecture: 'amd64',
      created: change.created,
      diffIds: [diffId],
      process: { Entrypoint: ['/usr/bin/web'], Cmd: ['serve'], Env: ['PORT=8080'], WorkingDir: '/srv' },
    },
    blobs: change.blobs ?? [a, b],
    importedAt,
  }
}

describe('image manifests for imgadm', () => {
  it('says what Triton says of the same image, but for the origin, which it has none of', () => {
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
      description: 'team-a/web',
      tags: {
        kernel_version: '3.13.0',
        'varve:chain-id': diffId,
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

  it('names the chain, by which it is known for ours', () => {
    const manifest: unknown = JSON.parse(JSON.stringify(imageManifestOf(published())))
    assert.equal(chainOfManifest(manifest), chainIdsOf([diffId])[0])
    const { tags, ...other } = imageManifestOf(published())
    const { 'varve:chain-id': _, ...foreign } = tags
    for (const not of [
      other,
      { ...other, tags: foreign },
      { tags: { 'varve:chain-id': 'x' } },
      null,
      'manifest',
    ])
      assert.equal(chainOfManifest(not), undefined)
  })

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
      'os: not linux',
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
      'docker:logdriver': 'json-file',
      'docker:logconfig': '{}',
    })
  })

  it('rounds a quota up to GiB, and keeps none for none', () => {
    const quotas = [0, 1, 1024 ** 3, 1024 ** 3 + 1].map(quota => vmadmPayloadOf({ ...parts, quota }).quota)
    assert.deepEqual(quotas, [0, 1, 1, 2])
    assert.equal('quota' in vmadmPayloadOf(parts), false)
  })

  it('the rules are rules: what breaks one is told', () => {
    const { kernel_version: _, ...payload } = vmadmPayloadOf(parts)
    const { internal_metadata } = payload
    const broken = {
      ...payload,
      init_name: '/sbin/init',
      zlog_max_size: -1,
      nics: [],
      internal_metadata: { ...internal_metadata, 'docker:cmd': 'sh', 'docker:privileged': 'true' },
    }
    assert.deepEqual(payloadFaults(broken), [
      'zlog_max_size: -1',
      'nics: unknown',
      'docker:cmd: "sh"',
      'docker:privileged: unknown',
      'kernel_version: missing',
      'init_name: not below /native',
    ])
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

describe('images as Triton knows them', () => {
  const hostileText = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '__proto__',
      'constructor',
      '\u0000',
      '\ud800',
      '\r\n',
      '$(id)',
      '"',
      ','.repeat(200_000),
    ),
  )
  const texts = fc.option(fc.array(hostileText, { maxLength: 8 }), { nil: null })
  /** Any JSON besides: what is unknown in a config is passed over. */
  const surplus = fc.dictionary(hostileText, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 })
  const hostileConfig = fc.record({
    os: fc.constant('linux'),
    architecture: hostileText,
    created: fc.option(hostileText, { nil: null }),
    rootfs: fc.constant({ type: 'layers', diff_ids: [diffId] }),
    config: fc
      .tuple(
        surplus,
        fc.record({
          Entrypoint: texts,
          Cmd: texts,
          Env: texts,
          User: hostileText,
          WorkingDir: hostileText,
          Labels: surplus,
          Volumes: surplus,
        }),
      )
      .map(([more, known]) => ({ ...more, ...known })),
  })
  const image = (config: object) =>
    tritonImageOf({
      name: 'registry.example/team-a/web:1.4',
      config: parseImageConfig(Buffer.from(JSON.stringify(config))),
      configDigest: a,
      blobs: [b],
      importedAt,
      kernelVersion: '5.10.0',
    })
  const plain = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [diffId] } }
  const keysOf = (value: object): readonly string[] => Object.keys(value).toSorted()

  it('agree in manifest and payload', () => {
    const known = image(plain)
    assert.equal(known?.payload.image_uuid, known?.manifest.uuid)
    assert.equal(known?.payload.kernel_version, '5.10.0')
    assert.equal(known?.manifest.tags['kernel_version'], '5.10.0')
    assert.equal(image({ ...plain, os: 'windows' }), undefined)
  })

  it('are valid whatever an image says of itself, and get no key from it', () => {
    const expected = image(plain)
    assert.ok(expected)
    const optional = new Set(['docker:architecture', 'docker:config'])
    const needed = (tags: object) => keysOf(tags).filter(name => !optional.has(name))
    fc.assert(
      fc.property(hostileConfig, config => {
        const hostile = image(config)
        assert.ok(hostile)
        const { manifest, payload } = hostile
        // As it is read back by imgadm and vmadm.
        assert.deepEqual(manifestFaults(JSON.parse(JSON.stringify(manifest)) as object), [])
        assert.deepEqual(payloadFaults(JSON.parse(JSON.stringify(payload)) as object), [])
        assert.deepEqual(keysOf(manifest), keysOf(expected.manifest))
        assert.deepEqual(needed(manifest.tags), needed(expected.manifest.tags))
        assert.deepEqual(keysOf(payload), keysOf(expected.payload))
        assert.deepEqual(keysOf(payload.internal_metadata), keysOf(expected.payload.internal_metadata))
        assert.equal(Object.getPrototypeOf(payload.internal_metadata), Object.prototype)
      }),
      { numRuns: 100 },
    )
  })

  it('leave a config out of the manifest that is longer than all tags may be, and keep it in the payload', () => {
    const Env = Array.from({ length: 20_000 }, (_, index) => `NAME${index}=value`)
    const long = image({ ...plain, config: { Env } })
    assert.ok(long)
    assert.deepEqual(manifestFaults(long.manifest), [])
    assert.equal('docker:config' in long.manifest.tags, false)
    assert.deepEqual(JSON.parse(long.payload.internal_metadata['docker:env'] ?? ''), Env)
  })
})
