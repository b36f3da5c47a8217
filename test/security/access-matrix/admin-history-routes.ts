import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { looseManifest } from '../../support/records.ts'
import { type AdminRoute, type Asker, maintainers, members, way } from './admin-route.ts'

const name = 'acme/undone'
const repository = parseRepositoryName(name)
const ofRepository = '/api/v1/repositories/*repository'

/** What tags named before, and what was deleted. */
export const historyRoutes: readonly AdminRoute[] = [
  way('GET', `${ofRepository}/tags`, members, {
    prepare: async asker => {
      await push(asker)
      return inPath()
    },
  }),
  way('GET', `${ofRepository}/tags/:tag/history`, members, { prepare: () => inPath({ tag: 'latest' }) }),
  way('POST', `${ofRepository}/tags/:tag/restorations`, maintainers, {
    status: 201,
    prepare: async asker => {
      const { digest, tag: own } = await remove(asker)
      return { ...inPath({ tag: own }), body: { digest } }
    },
  }),
  way('DELETE', `${ofRepository}/tags/:tag/target`, maintainers, {
    status: 204,
    prepare: async asker => inPath({ tag: (await push(asker)).tag }),
  }),
  way('GET', `${ofRepository}/deleted-manifests`, members, { prepare: () => inPath() }),
  way('PUT', `${ofRepository}/deleted-manifests/:digest/restoration`, maintainers, {
    status: 204,
    prepare: async asker => ({ ...inPath({ digest: (await remove(asker)).digest }), body: {} }),
  }),
  way('DELETE', `${ofRepository}/deleted-manifests/:digest/content`, maintainers, {
    status: 204,
    prepare: async asker => inPath({ digest: (await remove(asker)).digest }),
  }),
]

function inPath(more: Readonly<Record<string, string>> = {}) {
  return { parameters: { repository: name, ...more } }
}

async function push({ world: { metadata }, mark }: Asker): Promise<{ tag: string; digest: string }> {
  const own = `of-${mark}`
  const manifest = looseManifest(`undone ${mark}`, own)
  await metadata.putManifest(repository, manifest)
  return { tag: own, digest: manifest.digest }
}

async function remove(asker: Asker): Promise<{ tag: string; digest: string }> {
  const pushed = await push(asker)
  const { digest } = looseManifest(`undone ${asker.mark}`)
  await asker.world.metadata.deleteManifest(repository, digest)
  return pushed
}
