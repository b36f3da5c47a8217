import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type CopyPlace, parseCopyPlace, sourceReference, targetTag } from '../../src/cli/copy-place.ts'
import { isDomainError } from '../../src/errors.ts'
import { digestOf } from '../../src/storage/digest.ts'
import { formatImageName, formatReference, parseReference, parseTag } from '../../src/storage/reference.ts'

const digest = digestOf(Buffer.from('an image'))

describe('a place that an image is copied from or to', () => {
  const written: Readonly<Record<string, string>> = {
    debian: 'docker.io/library/debian:latest',
    'localhost:5000/a/b:v1': 'localhost:5000/a/b:v1',
    [`quay.io/a/b@${digest}`]: `quay.io/a/b@${digest}`,
    'oci:/srv/images': 'layout /srv/images -',
    'oci:images:v1': 'layout images v1',
    'oci:/srv/a:b/images': 'layout /srv/a:b/images -',
    'oci:/srv/a:b/images:v1': 'layout /srv/a:b/images v1',
    'oci:/srv/a@b/images': 'layout /srv/a@b/images -',
    [`oci:/srv/images@${digest}`]: `layout /srv/images ${digest}`,
  }
  for (const [text, expected] of Object.entries(written))
    it(`may be written ${text}`, () => assert.equal(show(parseCopyPlace(text)), expected))

  for (const text of [
    '',
    'oci:',
    'oci::v1',
    'oci:dir:not a tag',
    'oci:dir@sha256:00',
    'oci:dir@v1',
    'oci:a\0b',
    'UPPER/case',
    'a@b@c',
  ])
    it(`may not be written ${JSON.stringify(text)}`, () => throwsInvalid(() => parseCopyPlace(text)))
})

describe('what is copied', () => {
  const tag = parseTag('v1')

  it('is what the source names, or the one tag of a layout', () => {
    assert.equal(formatReference(sourceReference(parseCopyPlace('quay.io/a/b'), undefined)), 'latest')
    assert.equal(
      formatReference(sourceReference(parseCopyPlace(`quay.io/a/b:v1@${digest}`), undefined)),
      digest,
    )
    assert.equal(formatReference(sourceReference(parseCopyPlace('oci:dir:v2'), tag)), 'v2')
    assert.equal(formatReference(sourceReference(parseCopyPlace('oci:dir'), tag)), 'v1')
    throwsInvalid(() => sourceReference(parseCopyPlace('oci:dir'), undefined))
  })

  it('gets the tag of the target; in a layout without one, that of the source', () => {
    const source = parseReference('v1')
    assert.equal(targetTag(parseCopyPlace('quay.io/a/b:v2'), source), 'v2')
    assert.equal(targetTag(parseCopyPlace('quay.io/a/b'), source), 'latest')
    assert.equal(targetTag(parseCopyPlace('oci:dir'), source), 'v1')
    assert.equal(targetTag(parseCopyPlace('oci:dir:v2'), source), 'v2')
    assert.equal(targetTag(parseCopyPlace('oci:dir'), parseReference(digest)), undefined)
    throwsInvalid(() => targetTag(parseCopyPlace(`quay.io/a/b@${digest}`), source))
    throwsInvalid(() => targetTag(parseCopyPlace(`oci:dir@${digest}`), source))
  })
})

function show(place: CopyPlace): string {
  if (place.kind === 'registry') return formatImageName(place.image)
  return `layout ${place.directory} ${place.reference === undefined ? '-' : formatReference(place.reference)}`
}

function throwsInvalid(work: () => unknown): void {
  assert.throws(work, error => isDomainError(error, 'invalid'))
}
