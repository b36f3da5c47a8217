import type { Requester } from '../../storage/requester.ts'
import { version } from '../../version.ts'

/** Who keeps and forgets copies, for those who read events: it was us, whoever pulled. */
export const pullThroughRequester: Requester = Object.freeze({
  requestId: 'varve-pull-through',
  address: '',
  scheme: 'http',
  host: '',
  method: 'PUT',
  userAgent: `varve-pull-through/${version}`,
  account: 'varve-pull-through',
})
