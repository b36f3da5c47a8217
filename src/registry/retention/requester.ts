import type { Requester } from '../../storage/requester.ts'
import { version } from '../../version.ts'

/** Who drops what rules and times let go, for those who read events and the audit log. */
export const retentionRequester: Requester = Object.freeze({
  requestId: 'varve-retention',
  address: '',
  scheme: 'http',
  host: '',
  method: 'DELETE',
  userAgent: `varve-retention/${version}`,
  account: 'varve-retention',
})
