import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { digestOf } from '../../src/storage/digest.ts'
import { artifactTypeOf, edgesOf, parseManifest } from '../../src/storage/manifest.ts'
import { mediaTypes } from '../../src/storage/media-types.ts'

const { ociManifest, ociIndex, dockerManifest, dockerManifestList, ociConfig } = mediaTypes
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip'
const foreignType = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'

const named = (text: string, mediaType: string) => ({
  mediaType,
  digest: digestOf(Buffer.from(text)),
  size: text.length,
})
const config = named('config', ociConfig)
const layers = [named('one', layerType), named('two', layerType)]
const image = { schemaVersion: 2, mediaType: ociManifest, config, layers }
const children = [named('amd64', ociManifest), named('arm64', ociManifest)]
const index = { schemaVersion: 2, mediaType: ociIndex, manifests: children }

const bytesOf = (json: unknown) => Buffer.from(JSON.stringify(json))
const without = (json: object, member: string) =>
  Object.fromEntries(Object.entries(json).filter(([name]) => name !== member))
const invalid = { name: 'DomainError', code: 'invalid' }

describe('A manifest', () => {
  for (const [type, json] of [
    [ociManifest, image],
    [dockerManifest, { ...image, mediaType: dockerManifest }],
    [ociIndex, index],
    [dockerManifestList, { ...index, mediaType: dockerManifestList }],
  ] as const)
    it(`of type ${type} is understood, with and without its type being said twice`, () => {
      for (const [body, contentType] of [
        [json, type],
        [json, `${type.toUpperCase()} ; charset=utf-8`],
        [json, undefined],
        [without(json, 'mediaType'), type],
      ] as const) {
        const manifest = parseManifest(bytesOf(body), contentType)
        assert.equal(manifest.mediaType, type)
        assert.equal(manifest.kind, 'config' in json ? 'image' : 'index')
      }
    })

  it('without any type is known by its shape', () => {
    assert.equal(parseManifest(bytesOf(without(image, 'mediaType'))).mediaType, ociManifest)
    assert.equal(parseManifest(bytesOf(without(index, 'mediaType'))).mediaType, ociIndex)
    assert.throws(() => parseManifest(bytesOf({ schemaVersion: 2 })), invalid)
  })

  it('keeps what it says of itself, and takes what it does not know', () => {
    const subject = named('subject', ociManifest)
    const said = { subject, artifactType: 'text/x', annotations: { key: 'value' }, later: [1] }
    for (const json of [image, index]) {
      const manifest = parseManifest(bytesOf({ ...json, ...said }))
      assert.equal(manifest.subject?.digest, subject.digest)
      assert.equal(manifest.artifactType, 'text/x')
      assert.deepEqual(manifest.annotations, { key: 'value' })
    }
    const nulls = parseManifest(bytesOf({ ...image, subject: null, annotations: null }))
    assert.equal(nulls.subject, undefined)
    assert.equal(nulls.annotations, undefined)
  })

  it('may have no layers', () => {
    assert.deepEqual(edgesOf(parseManifest(bytesOf({ ...image, layers: [] }))).length, 1)
  })

  // CVE-2021-41190: one document that is an image to one reader and an index to another.
  for (const [title, json, contentType] of [
    ['both shapes, called an image', { ...image, manifests: children }, ociManifest],
    ['both shapes, called an index', { ...index, config, layers }, ociIndex],
    ['both shapes without a type', { ...without(image, 'mediaType'), manifests: children }, undefined],
    ['an index with layers', { ...index, layers }, ociIndex],
    ['a body of another type than its header says', image, ociIndex],
    ['an OCI body with Docker’s header', image, dockerManifest],
  ] as const)
    it(`cannot mean two things: ${title}`, () => {
      assert.throws(() => parseManifest(bytesOf(json), contentType), invalid)
    })

  for (const [title, body] of [
    ['no JSON', Buffer.from('{')],
    ['no text', Buffer.from([0x7b, 0xff, 0x7d])],
    ['an array', bytesOf([image])],
    ['null', bytesOf(null)],
    ['an unknown type', bytesOf({ ...image, mediaType: 'application/json' })],
    ['schema 1', bytesOf({ ...image, schemaVersion: 1 })],
    ['a config that is missing', bytesOf(without(image, 'config'))],
    ['layers that are missing', bytesOf(without(image, 'layers'))],
    ['a digest that is none', bytesOf({ ...image, config: { ...config, digest: 'sha256:zz' } })],
    ['a negative size', bytesOf({ ...image, layers: [{ ...layers[0], size: -1 }] })],
    ['a size with a fraction', bytesOf({ ...image, layers: [{ ...layers[0], size: 1.5 }] })],
    ['a child without a digest', bytesOf({ ...index, manifests: [without(config, 'digest')] })],
    ['an annotation that is no text', bytesOf({ ...image, annotations: { a: 1 } })],
  ] as const)
    it(`is refused for ${title}`, () => {
      assert.throws(() => parseManifest(body), invalid)
    })
})

describe('Edges', () => {
  const summary = (json: unknown) =>
    edgesOf(parseManifest(bytesOf(json))).map(({ role, descriptor, required }) => [
      role,
      descriptor.digest,
      required,
    ])

  it('of an image are its config, its layers in order, and its subject', () => {
    const subject = named('subject', ociManifest)
    assert.deepEqual(summary({ ...image, subject }), [
      ['config', config.digest, true],
      ...layers.map(layer => ['layer', layer.digest, true]),
      ['subject', subject.digest, false],
    ])
  })

  it('of an index are its children, which may be missing', () => {
    assert.deepEqual(
      summary(index),
      children.map(child => ['child', child.digest, false]),
    )
  })

  it('to a foreign layer may lead elsewhere, if it says where', () => {
    const foreign = named('foreign', foreignType)
    const requiredOf = (layer: object) => summary({ ...image, layers: [layer] })[1]?.[2]
    assert.equal(requiredOf({ ...foreign, urls: ['https://example.org/layer'] }), false)
    assert.equal(requiredOf({ ...foreign, urls: [] }), true)
    assert.equal(requiredOf(foreign), true)
    assert.equal(requiredOf({ ...layers[0], urls: ['https://example.org/layer'] }), true)
  })
})

describe('The artifact type', () => {
  it('is the manifest’s own, else the type of its config', () => {
    const typeOf = (json: unknown) => artifactTypeOf(parseManifest(bytesOf(json)))
    assert.equal(typeOf({ ...image, artifactType: 'text/x' }), 'text/x')
    assert.equal(typeOf({ ...image, artifactType: '' }), ociConfig)
    assert.equal(typeOf(image), ociConfig)
    assert.equal(typeOf({ ...index, artifactType: 'text/x' }), 'text/x')
    assert.equal(typeOf(index), undefined)
  })
})
