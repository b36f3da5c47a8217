import { accessTokenKinds, providerTokenKinds } from './access-token-kinds.ts'
import { apiTokenKinds } from './api-token-kinds.ts'
import type { CredentialKind } from './credential-kind.ts'
import { passwordKinds } from './password-kinds.ts'

/** With what anybody can come. */
export const credentialKinds: readonly CredentialKind[] = [
  ...passwordKinds,
  ...apiTokenKinds,
  ...accessTokenKinds,
  ...providerTokenKinds,
]

/** One of each family, for what asks nobody who they are. */
export const fewKinds: readonly CredentialKind[] = [
  passwordKinds,
  apiTokenKinds,
  accessTokenKinds,
  providerTokenKinds,
]
  .flatMap(kinds => [kinds[0], kinds.at(-1)])
  .filter(kind => kind !== undefined)
