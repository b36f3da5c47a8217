import type { Abortable } from '../../abortable.ts'
import type { ImageName } from '../../reference.ts'

/** What a registry, or its token service, knows somebody by. */
export type Credentials = PasswordCredentials | IdentityToken | RegistryToken

export interface PasswordCredentials {
  readonly kind: 'password'
  readonly username: string
  readonly password: string
}

/** Exchanged for access tokens at the registry's token service (OAuth 2, RFC 6749, section 6: a refresh token). */
export interface IdentityToken {
  readonly kind: 'identity-token'
  readonly token: string
}

/** Sent to the registry as it is, as a bearer token (RFC 6750). */
export interface RegistryToken {
  readonly kind: 'registry-token'
  readonly token: string
}

/** Credentials that were chosen for an image. */
export interface ChosenCredentials {
  /**
   * Tells them from all others of the same registry, and holds no secret: for messages, and so that what was got with
   * them is never used for somebody else.
   */
  readonly name: string
  readonly credentials: Credentials
}

/** CONTRACT. Where credentials come from. */
export interface CredentialStore {
  /** Whether there can be any at all. */
  readonly isEmpty: boolean
  /**
   * Those for an image, as they are at this moment; undefined for nobody's.
   * @param wanted their name, when the caller names them.
   * @throws DomainError `invalid` for a name that does not exist, `denied` for one that is for another registry or
   * repository, `unavailable` when they cannot be read.
   */
  choose(
    image: Pick<ImageName, 'registry' | 'repository'>,
    wanted: string | undefined,
    options?: Abortable,
  ): Promise<ChosenCredentials | undefined>
}

/** CONTRACT. One that knows registries as a whole, too. */
export interface RegistryCredentialStore extends CredentialStore {
  /**
   * Those for what is of no repository of the registry; undefined for nobody's.
   * @throws DomainError as {@link CredentialStore.choose}.
   */
  chooseForRegistry(
    registry: string,
    wanted: string | undefined,
    options?: Abortable,
  ): Promise<ChosenCredentials | undefined>
  /** @throws DomainError `invalid` for a name that does not exist, `denied` for one that is for another registry. */
  confirm(registry: string, wanted: string): void
}
