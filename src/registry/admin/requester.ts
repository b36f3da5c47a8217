import type { Requester } from '../../storage/requester.ts'
import { version } from '../../version.ts'
import type { Actor } from './actor.ts'

/** For events of what is administered: who asked for it, by a request or by a command on the registry's own machine. */
export function requesterOfActor(actor: Actor): Requester {
  if (actor.kind === 'account' && actor.requester !== undefined) return actor.requester
  return {
    requestId: 'varve-administration',
    address: actor.kind === 'account' ? actor.address : '',
    scheme: 'http',
    host: '',
    method: '',
    userAgent: `varve/${version}`,
    account: actor.kind === 'account' ? actor.identity.account : actor.name,
  }
}
