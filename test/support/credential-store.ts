import type { ChosenCredentials, CredentialStore } from '../../src/storage/remote/credentials/credentials.ts'

/** Credentials by registry, which a test may change while they are used. */
export function storeOf(
  byRegistry: Readonly<Record<string, ChosenCredentials | undefined>>,
): CredentialStore {
  return { isEmpty: false, choose: ({ registry }) => Promise.resolve(byRegistry[registry]) }
}
