import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestRegistry } from './registry.ts'
import type { RegistryClient } from './registry-client.ts'

/** Waits until a request writes to an upload: from then on another one comes later, however slow the machine is. */
export async function untilHeld({ directory }: TestRegistry, location: string): Promise<void> {
  const id = location.split('?')[0]?.split('/').at(-1) ?? ''
  using database = new DatabaseSync(join(directory, 'metadata.sqlite'), { readOnly: true })
  const query = database.prepare('select 1 from uploads where id = ? and holder is not null')
  while (query.get(id) === undefined) await sleep(5)
}

/** Returns when a request that was sent before has come to the registry, as far as can be told: later ones were answered. */
export async function untilArrived(client: RegistryClient): Promise<void> {
  for (const _ of Array.from({ length: 5 })) await client.send('GET', '/v2/')
}
