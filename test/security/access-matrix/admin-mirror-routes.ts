import { newMirrorRunId, parseMirrorJobName } from '../../../src/registry/mirror/job-name.ts'
import { type AdminRoute, type Asker, admins, way } from './admin-route.ts'

/** All that a job needs, but for its name. */
export const definition = { source: { registry: 'quay.io' }, target: {}, repositories: ['acme/debian'] }
const ofJob = '/api/v1/mirror/jobs/:job'

/** Mirror jobs bring content under any name, and ask other registries with the operators' credentials. */
export const mirrorRoutes: readonly AdminRoute[] = [
  way('GET', '/api/v1/mirror/jobs', admins),
  way('PUT', ofJob, admins, {
    prepare: ({ mark }) => {
      const name = `new-${mark}`
      return { parameters: { job: name }, body: { definition: { ...definition, name } } }
    },
  }),
  way('GET', ofJob, admins, { prepare: withJob }),
  way('DELETE', ofJob, admins, { status: 204, prepare: withJob }),
  way('POST', `${ofJob}/runs`, admins, {
    status: 201,
    prepare: async asker => ({ ...(await withJob(asker)), body: {} }),
  }),
  way('GET', '/api/v1/mirror/runs', admins),
  way('GET', '/api/v1/mirror/runs/:run', admins, { prepare: withRun }),
  way('GET', '/api/v1/mirror/runs/:run/results', admins, { prepare: withRun }),
]

async function withJob({ world: { metadata }, mark }: Asker) {
  const name = parseMirrorJobName(`job-${mark}`)
  await metadata.putMirrorJob({
    name,
    definition: JSON.stringify({ ...definition, name }),
    updatedAt: new Date(),
  })
  return { parameters: { job: name } }
}

async function withRun({ world: { metadata }, mark }: Asker) {
  const startedAt = new Date()
  const run = newMirrorRunId(startedAt)
  const job = parseMirrorJobName(`job-${mark}`)
  await metadata.beginMirrorRun({ id: run, job, trigger: 'api', by: null, startedAt })
  return { parameters: { run } }
}
