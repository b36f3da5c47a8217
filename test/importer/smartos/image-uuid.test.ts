import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { imageUuidOf, parseImageUuid } from '../../../src/importer/smartos/image-uuid.ts'
import { parseDigest } from '../../../src/storage/digest.ts'

const a = `sha256:${'a'.repeat(64)}`
const b = `sha256:${'b'.repeat(64)}`

/** The first is the one that Triton's RFD 57 publishes; the others were computed by another program. */
const vectors: readonly (readonly [blobs: readonly string[], uuid: string])[] = [
  [
    ['sha256:2aecc7e1714b6fad58d13aedb0639011b37b86f743ba7b6a52d82bd03014b78e'],
    'af538a6a-5ca3-04cc-fd2e-9c0064fe5a63',
  ],
  [
    ['sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4'],
    'b4a96f09-026d-7abb-7aa3-bc2cfa5c5826',
  ],
  [[a], '9f447b1b-473d-3598-84f2-b8541a1ad0b7'],
  [[a, b], 'ccd72292-8bd9-2476-ba17-45586fed6e45'],
  [[a, b, a], '1b54389e-c5d6-51e5-d551-b2a7a51b0e65'],
]

describe('Triton UUIDs of images', () => {
  for (const [blobs, uuid] of vectors)
    it(`${blobs.length} layers: ${uuid}`, () => assert.equal(imageUuidOf(blobs.map(parseDigest)), uuid))

  it('are parsed as they are written, and nothing else is', () => {
    const [, uuid] = vectors[0] ?? [[], '']
    assert.equal(parseImageUuid(uuid), uuid)
    for (const text of [
      '',
      'zones',
      `${uuid}-partial`,
      ` ${uuid}`,
      `${uuid}\n`,
      uuid.toUpperCase(),
      `${uuid}@final`,
    ])
      assert.throws(() => parseImageUuid(text), /is not the UUID of an image/)
  })
})
