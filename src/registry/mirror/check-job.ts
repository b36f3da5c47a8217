import type * as z from 'zod'
import { DomainError, isDomainError } from '../../errors.ts'
import { type MirrorJob, mirrorJobSchema } from '../../mirror-job.ts'
import { checkRegistry } from '../../storage/remote/registry-address.ts'

/** @throws DomainError `invalid` that names the first field that is wrong. */
export function parseMirrorJob(given: unknown): MirrorJob {
  const { success, data, error } = mirrorJobSchema.safeParse(given)
  if (success) return data
  // A field that is misspelt is missing as well, and its own name says more.
  const issue = error.issues.find(({ code }) => code === 'unrecognized_keys') ?? error.issues[0]
  const place = issue?.path.map(String).join('.').slice(0, 64) ?? ''
  throw invalidJob(nameIn(given), `${place === '' ? '' : `${place}: `}${reasonOf(issue)}`)
}

/**
 * What a schema cannot see.
 * @param credentials names of those that are configured.
 * @throws DomainError `invalid`.
 */
export function checkMirrorJob(job: MirrorJob, credentials: readonly string[]): void {
  const { name, source, target } = job
  if (placeOf(source.registry) === placeOf(target.registry))
    throw invalidJob(
      name,
      source.registry === undefined
        ? 'neither source.registry nor target.registry is given, so it would copy this registry to itself'
        : `its source and its target are both ${source.registry}`,
    )
  for (const [end, place] of [
    ['source', source],
    ['target', target],
  ] as const) {
    if (place.registry !== undefined) requireRegistry(name, end, place.registry)
    if (place.credentials === undefined) continue
    if (place.registry === undefined)
      throw invalidJob(name, `${end}.credentials: this registry's own content needs none`)
    if (!credentials.includes(place.credentials))
      throw invalidJob(
        name,
        `${end}.credentials: remote.credentials has no ${place.credentials}; it has: ${credentials.join(', ') || 'none'}`,
      )
  }
}

/** What cannot be asked would make every run fail. */
function requireRegistry(name: string, end: string, registry: string): void {
  try {
    checkRegistry(registry)
  } catch (error) {
    if (!isDomainError(error)) throw error
    throw invalidJob(name, `${end}.registry: ${error.message.replace(/\.$/, '')}`)
  }
}

/** Names of one registry: those of Docker Hub are many. */
function placeOf(registry: string | undefined): string {
  const host = registry?.toLowerCase() ?? ''
  return ['index.docker.io', 'registry-1.docker.io'].includes(host) ? 'docker.io' : host
}

function reasonOf(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'unrecognized_keys')
    return `${String(issue.keys[0]).slice(0, 64)} is no field of a mirror job`
  if (issue?.code === 'invalid_type' && issue.message.endsWith('received undefined')) return 'it is missing'
  return issue?.message ?? 'it is invalid'
}

function nameIn(given: unknown): string | undefined {
  if (typeof given !== 'object' || given === null || !('name' in given)) return undefined
  return typeof given.name === 'string' ? given.name.slice(0, 64) : undefined
}

function invalidJob(name: string | undefined, why: string): DomainError {
  return new DomainError(
    'invalid',
    `The mirror job${name === undefined ? '' : ` ${name}`} is not valid: ${why}.`,
    {
      resource: 'mirror',
      name,
    },
  )
}
