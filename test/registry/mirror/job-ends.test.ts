import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { measuredTraffic, trafficOfTarget } from '../../../src/registry/mirror/job-ends.ts'
import { mirrorJob } from '../../support/mirror-run.ts'

function measured(source: string | undefined, target: string | undefined) {
  const hosts: string[] = []
  const quotas: [string, number][] = []
  const traffic = measuredTraffic(mirrorJob({ source: { registry: source }, target: { registry: target } }), {
    request: (_job, host) => hosts.push(host),
    bytes: () => {},
    quota: (registry, remaining) => quotas.push([registry, remaining]),
  })
  const ask = (host: string): void => traffic.request({ host, method: 'HEAD', what: 'manifest', status: 200 })
  return { hosts, quotas, traffic, ask }
}

describe('What is measured of the requests of mirror jobs', () => {
  it('goes to the source or the target, however their names are written', () => {
    const { hosts, ask } = measured('docker.io', 'Quay.io:443')
    for (const host of ['registry-1.docker.io', 'quay.io', 'cdn.example']) ask(host)
    assert.deepEqual(hosts, ['source', 'target', 'other'])
  })

  it('takes what the source says may still be pulled, and not what the target does', () => {
    const { quotas, traffic } = measured('quay.io', 'docker.io')
    const quota = { limit: 100, remaining: 7, windowSeconds: 21_600, at: new Date() }
    trafficOfTarget(traffic).quota?.(quota)
    assert.deepEqual(quotas, [])
    traffic.quota?.(quota)
    assert.deepEqual(quotas, [['quay.io', 7]])
  })
})
