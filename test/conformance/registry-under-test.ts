import type { Login } from '../support/account-registry.ts'
import { type Authorize, AuthorizedClient } from '../support/authorized-client.ts'
import { RegistryClient } from '../support/registry-client.ts'

/** Whatever speaks the protocol: one process, or several behind one address. */
export interface RegistryUnderTest extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Of an account that may do everything where the suites push; nobody is asked unless given. */
  readonly account?: { readonly login: Login; readonly authorize: Authorize } | undefined
}

export function clientOf({ url, account }: RegistryUnderTest): RegistryClient {
  return account === undefined ? new RegistryClient(url) : new AuthorizedClient(url, account.authorize)
}
