import type { Action } from '../../storage/accounts/roles.ts'
import type { RepositoryName } from '../../storage/reference.ts'

/** What a request wants to do. */
export type Access =
  | { readonly kind: 'repository'; readonly name: RepositoryName; readonly action: Action }
  /** `registry:catalog:*`, the only other resource in use. */
  | { readonly kind: 'catalog' }

/** Whether something is allowed, and by which rule: the sentence that `varve access explain` prints and the audit log keeps. */
export interface Decision {
  readonly isAllowed: boolean
  readonly rule: string
}
