import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { exec } from '../../test/support/process.ts'
import { varveProgram } from '../../test/support/varve.ts'
import { type Contender, startDockerRegistry } from '../registry/contender.ts'
import type { Programs } from './programs.ts'
import type { ImageSet } from './source.ts'

/** Something that keeps copies of images, with a place of its own for them. */
export interface MirrorContender {
  readonly name: string
  /** Answers what brings the copies up to date, however often it is called. */
  readonly prepare: (plan: MirrorPlan) => Promise<() => Promise<void>>
}

export interface MirrorPlan {
  /** Where it may keep files; different for each contender. */
  readonly directory: string
  /** `host:port` of the registry that has the images. */
  readonly source: string
  readonly images: ImageSet
  /** Images at once, for those who can. */
  readonly atOnce: number
  /** Whether signatures and the like are looked for. */
  readonly referrers: boolean
  /** What it starts is stopped with it. */
  readonly stack: AsyncDisposableStack
}

export function mirrorContenders({ regsync }: Pick<Programs, 'regsync'>): readonly MirrorContender[] {
  return [
    {
      name: 'varve, own stores',
      prepare: async plan => await varveJob(plan, { prefix: 'mirror/' }),
    },
    {
      name: 'varve, to a registry',
      prepare: async plan => await varveJob(plan, { registry: await target(plan), prefix: 'mirror/' }),
    },
    {
      name: 'regsync once',
      prepare: async plan => {
        const to = await target(plan)
        const config = join(plan.directory, 'regsync.yaml')
        await writeFile(config, stringify(regsyncConfig(plan, to)))
        const env = homeIn(plan)
        return async () => void (await exec(regsync, ['once', '--config', config], { env }))
      },
    },
    {
      name: 'skopeo sync',
      prepare: async plan => {
        const to = await target(plan)
        const config = join(plan.directory, 'skopeo.yaml')
        const images = Object.fromEntries(plan.images.repositories.map(name => [name, plan.images.tags]))
        await writeFile(config, stringify({ [plan.source]: { 'tls-verify': false, images } }))
        const flags = ['--all', '--src-tls-verify=false', '--dest-tls-verify=false']
        const args = ['sync', ...flags, '--src', 'yaml', '--dest', 'docker', config, `${to}/mirror`]
        return async () => void (await exec('skopeo', args, { env: homeIn(plan) }))
      },
    },
  ]
}

async function varveJob(
  { directory, source, images, atOnce, referrers }: MirrorPlan,
  to: { readonly registry?: string; readonly prefix: string },
): Promise<() => Promise<void>> {
  const file = join(directory, 'job.yaml')
  const job = {
    name: 'bench',
    source: { registry: source },
    target: to,
    repositories: images.repositories,
    tags: { names: images.tags },
    referrers: { include: referrers },
    limits: { concurrency: atOnce },
  }
  await writeFile(file, stringify(job))
  const args = ['mirror', 'run', '--file', file, '--data', join(directory, 'data'), '--json']
  return async () => void (await exec(varveProgram, args))
}

function regsyncConfig({ source, images, atOnce, referrers }: MirrorPlan, to: string): unknown {
  const plain = (registry: string) => ({ registry, tls: 'disabled' })
  return {
    version: 1,
    creds: [plain(source), plain(to)],
    defaults: { parallel: atOnce, referrers },
    sync: images.repositories.flatMap(name =>
      images.tags.map(tag => ({
        source: `${source}/${name}:${tag}`,
        target: `${to}/mirror/${name}:${tag}`,
        type: 'image',
      })),
    ),
  }
}

/** A registry of its own, `host:port`. */
async function target({ directory, stack }: MirrorPlan): Promise<string> {
  const data = join(directory, 'target')
  await mkdir(data)
  const registry: Contender = await startDockerRegistry(data)
  stack.defer(() => registry.stop())
  return new URL(registry.url).host
}

/** Nothing that this machine's user has configured or kept is read. */
export function homeIn({ directory }: Pick<MirrorPlan, 'directory'>): Record<string, string> {
  return { HOME: directory, DOCKER_CONFIG: join(directory, '.docker'), REGISTRY_AUTH_FILE: '' }
}
