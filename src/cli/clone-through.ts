import { AgentClient } from '../importer/agent/agent-client.ts'
import type { ImageForClone } from '../importer/agent/client/image-for-clone.ts'
import { DomainError } from '../errors.ts'
import type { CloneName, CloneOptions } from '../importer/chain/chain-store.ts'
import { ensureClone, ensureClones, type PendingImport } from '../importer/clones/ensure-clone.ts'
import type { ClonedImage, CloneOutcome, ImportService } from '../importer/import-service.ts'
import { ImportJobs } from '../importer/jobs/import-jobs.ts'
import { parsePlatform } from '../storage/platform.ts'

/** What a command wants of clones, and of their image where it has to be imported first. */
export interface CloneWish extends ImageForClone, Omit<CloneOptions, 'signal'> {
  readonly platform: string
}

/** Seconds: the longest that an agent waits for an import in one request. */
const longestWait = 3600

/** @throws DomainError also when the image was not imported within the time that the wish has. */
export async function cloneOf(
  service: ImportService,
  image: string,
  name: CloneName,
  wish: CloneWish,
  signal: AbortSignal,
): Promise<ClonedImage> {
  if (service instanceof AgentClient) return await service.clone(image, name, ofAgent(wish, signal))
  await using jobs = jobsOf(service)
  const request = { ...requestOf(image, wish), name }
  return made(await ensureClone({ service, jobs }, request, waitOf(wish, signal)), image)
}

/** As {@link cloneOf}, with an outcome for each name. */
export async function clonesOf(
  service: ImportService,
  image: string,
  names: readonly CloneName[],
  wish: CloneWish,
  signal: AbortSignal,
): Promise<CloneOutcome[]> {
  if (service instanceof AgentClient) return await service.cloneMany(image, names, ofAgent(wish, signal))
  await using jobs = jobsOf(service)
  const request = { ...requestOf(image, wish), names }
  return made(await ensureClones({ service, jobs }, request, waitOf(wish, signal)), image)
}

function ofAgent({ waitSeconds = longestWait, ...wish }: CloneWish, signal: AbortSignal) {
  return { ...wish, waitSeconds, signal }
}

/** Of this process alone, which imports one image. */
function jobsOf(service: ImportService): ImportJobs {
  return new ImportJobs(service, { atOnce: 1, remembered: 1 })
}

function requestOf(image: string, wish: CloneWish) {
  const { pull = 'never', platform, priority, credentials, quota, mountpoint, properties } = wish
  return {
    image,
    platform: parsePlatform(platform),
    credentials,
    pull,
    priority,
    options: { quota, mountpoint, properties },
  }
}

function waitOf({ waitSeconds }: CloneWish, signal: AbortSignal) {
  return { waitMs: waitSeconds === undefined ? undefined : waitSeconds * 1000, signal }
}

function made<Made extends object>(answer: Made | PendingImport, image: string): Made {
  if (!('pending' in answer)) return answer
  throw new DomainError('unavailable', `The image ${image} was not imported in time; wait longer.`, {
    resource: 'image',
    name: image,
  })
}
