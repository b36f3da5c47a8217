import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkMirrorJob, parseMirrorJob } from '../../../src/registry/mirror/check-job.ts'
import { mirrorJob } from '../../support/mirror-run.ts'

const given = { name: 'web', source: { registry: 'quay.io' }, target: {}, repositories: ['acme/web'] }

describe('The check of a mirror job', () => {
  it('names the field that is misspelt, and not the one that is missing for it', () => {
    const { target, ...rest } = given
    assert.throws(() => parseMirrorJob({ ...rest, targt: target }), /: targt is no field of a mirror job\.$/)
    assert.throws(
      () => parseMirrorJob({ mirror: { jobs: [given] } }),
      /: mirror is no field of a mirror job\.$/,
    )
    assert.throws(() => parseMirrorJob(rest), /The mirror job web is not valid: target: it is missing\.$/)
  })

  it('refuses registries that no run could ask', () => {
    for (const registry of ['a..b', '-quay.io', 'quay.io:99999']) {
      assert.throws(
        () => checkMirrorJob(mirrorJob({ source: { registry } }), []),
        /source\.registry: "[^"]+" is not a registry; write host or host:port, [^.]+\.io or \S+\.$/,
      )
      assert.throws(() => checkMirrorJob(mirrorJob({ target: { registry } }), []), /: target\.registry: /)
    }
    checkMirrorJob(mirrorJob({ source: { registry: '[::1]:5000' } }), [])
  })

  it('refuses credentials that there are not, and a registry that is copied to itself', () => {
    const credentials = (name: string) => mirrorJob({ source: { registry: 'quay.io', credentials: name } })
    checkMirrorJob(credentials('hub'), ['hub'])
    assert.throws(() => checkMirrorJob(credentials('hub'), []), /has no hub; it has: none\.$/)
    const same = mirrorJob({ source: { registry: 'docker.io' }, target: { registry: 'index.docker.io' } })
    assert.throws(() => checkMirrorJob(same, []), /are both docker\.io\.$/)
  })
})
