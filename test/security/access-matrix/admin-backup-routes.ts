import { type AdminRoute, admins, way } from './admin-route.ts'
import { admin } from './people.ts'
import type { World } from './world.ts'

const made = new WeakMap<World, Promise<string>>()

/** The ID of one that is there; made once. */
function backupIn(world: World): Promise<string> {
  const known = made.get(world) ?? makeBackup(world)
  made.set(world, known)
  return known
}

async function makeBackup(world: World): Promise<string> {
  const authorization = await world.loginOf(admin)
  const response = await fetch(`${world.url}/api/v1/backups`, {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
  })
  // Where nobody is asked who they are there is no administration, either.
  if (response.status !== 201) return '20300131t115959x0123456789ab'
  const { backup } = (await response.json()) as { backup: { id: string } }
  return backup.id
}

/** They have all that the database has, of all tenants. */
export const backupRoutes: readonly AdminRoute[] = [
  way('GET', '/api/v1/backups', admins),
  way('POST', '/api/v1/backups', admins, { status: 201, prepare: () => ({ body: {} }) }),
  way('POST', '/api/v1/backups/:backup/verifications', admins, {
    status: 201,
    prepare: async ({ world }) => ({ parameters: { backup: await backupIn(world) }, body: {} }),
  }),
]
