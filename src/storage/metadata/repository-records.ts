import type { Abortable } from '../abortable.ts'
import type { AccountName, TenantName } from '../accounts/names.ts'
import type { Visibility } from '../accounts/roles.ts'
import type { RepositoryName } from '../reference.ts'
import type { ChangeOptions } from '../requester.ts'
import type { Page } from './page.ts'

/**
 * CONTRACT. Which repositories there are. One that was deleted is not among them. The executable half of this page is
 * `test/contract/metadata-repositories.ts`.
 */
export interface RepositoryRecords {
  /** Whether anything is stored under this name. */
  hasRepository(name: RepositoryName, options?: Abortable): Promise<boolean>
  /** Names in byte order. */
  listRepositories(page: Page, options?: Abortable): Promise<RepositoryName[]>
  /**
   * Names, in byte order, of the repositories that the viewer may see, and of some that it may not: all of tenants that
   * are public, where it is a member, or where a grant is for it, and single ones that are public. Which of them it may
   * pull from is for `registry/auth/` to say. What belongs to no tenant is never among them.
   */
  listRepositoriesOf(
    account: AccountName | null,
    page: VisiblePage,
    options?: Abortable,
  ): Promise<RepositoryName[]>
}

/**
 * CONTRACT. What is done with whole repositories.
 *
 * To delete one is to delete all its manifests, so that they can be taken back, and to forget the uploads that are under
 * way in it. It is hidden at once, and what is in it is put away in batches afterwards: whoever dies in between leaves
 * that to {@link finishRepositories}. Nobody sees half of it, and meanwhile nothing can be pushed to its name (`busy`).
 * Afterwards a push makes the name a new repository, which has nothing of the old one, but whose manifests and tags can
 * still be taken back one by one.
 *
 * To rename one is one transaction, whatever is in it.
 */
export interface RepositoryChangeRecords {
  /** Those of a tenant, or all, in byte order. */
  listRepositoryStates(filter: RepositoryFilter, page: Page, options?: Abortable): Promise<RepositoryState[]>
  /** Reads all that it has. @throws DomainError `not_found` when there is none, and none that was deleted. */
  describeRepository(name: RepositoryName, options?: Abortable): Promise<RepositoryFacts>
  /**
   * Goes on with it, when somebody has left that half done.
   * @throws DomainError `not_found`; `conflict` while it has a tag that may not be changed, unless that is forced.
   */
  deleteRepository(name: RepositoryName, options?: ForcibleOptions): Promise<MovedContents>
  /**
   * Takes back what was deleted with the repository, its tags as they were.
   * @throws DomainError `not_found`; `conflict` when it is there: it was not deleted, or made anew; `denied`, resource
   * `quota`, when its tenant may have no more repositories.
   */
  restoreRepository(name: RepositoryName, options?: ChangeOptions): Promise<RestoredContents>
  /**
   * Lets a deleted repository go at once, with all that could be taken back, and what tags of it named.
   * @throws DomainError `not_found`; `conflict` when it is there.
   */
  purgeRepository(name: RepositoryName, options?: ChangeOptions): Promise<void>
  /**
   * Gives all that a repository has, its history, and what of it can be taken back, another name. Uploads that are under
   * way in it end: their sessions are not found any more.
   * @throws DomainError `not_found`; `already_exists` when there is one of the new name, or one that was deleted and is
   * still kept; `conflict` while it has a tag that may not be changed, unless that is forced, or when everybody could pull
   * it under the new name, and could not before, and `visibility` does not say so; `denied` when the quota of the other
   * tenant has no room for it.
   */
  renameRepository(rename: RepositoryRename, options?: ForcibleOptions): Promise<MovedContents>
  /** Goes on for a while with what others have left half done, or are at work on. Answers whether there is more. */
  finishRepositories(options?: Abortable): Promise<boolean>
}

export interface RepositoryFilter {
  /** Undefined: of all. */
  readonly tenant?: TenantName | undefined
  readonly isDeleted: boolean
}

export interface RepositoryState {
  readonly name: RepositoryName
  readonly createdAt: Date
  /** Null: it is there. */
  readonly deletedAt: Date | null
  /** When the last of what can be taken back goes; null: nothing can. */
  readonly goesAt: Date | null
}

export interface RepositoryFacts extends RepositoryState {
  readonly manifests: number
  readonly tags: number
  /** Of its manifests, and of all blobs that it links. */
  readonly bytes: number
  /** That can be taken back. */
  readonly deletedManifests: number
  readonly pushedAt: Date | null
}

export interface ForcibleOptions extends ChangeOptions {
  /** Whether tags that may not be changed are no obstacle. */
  readonly isForced?: boolean | undefined
}

export interface RepositoryRename {
  readonly from: RepositoryName
  readonly to: RepositoryName
  /** Who may pull it under its new name; unless given, as before where it had its own, else as the tenant's. */
  readonly visibility?: Visibility | undefined
}

export interface MovedContents {
  readonly manifests: number
  readonly tags: number
}

export interface RestoredContents extends MovedContents {
  /** Manifests that could not be taken back, because something that they name is gone. */
  readonly lost: number
}

/** Who looks for something. */
export interface Viewer {
  /** Null: nobody in particular. */
  readonly account: AccountName | null
  /** Where it is a member by what an OpenID provider says, beside those of the database. */
  readonly tenants?: readonly TenantName[] | undefined
}

export interface VisiblePage extends Page {
  /** As {@link Viewer.tenants}. */
  readonly tenants?: readonly TenantName[] | undefined
}
