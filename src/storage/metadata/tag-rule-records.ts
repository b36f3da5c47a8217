import type { Abortable } from '../abortable.ts'
import type { TenantName } from '../accounts/names.ts'

/**
 * CONTRACT. Tags that may be set once and never changed or deleted: putManifest, deleteManifest and deleteTag fail with
 * `conflict` where a rule fits. A rule counts for whatever begins when it is there. `test/contract/tag-rules.ts`.
 */
export interface TagRuleRecords {
  /** @throws DomainError `not_found` for the tenant; `invalid` for a pattern that is empty or too long. */
  addTagRule(rule: NewTagRule, options?: Abortable): Promise<TagRule>
  /** @throws DomainError `not_found`. */
  removeTagRule(tenant: TenantName, id: string, options?: Abortable): Promise<void>
  /** In the order in which they were added; none for a tenant that is not known. */
  listTagRules(tenant: TenantName, options?: Abortable): Promise<TagRule[]>
}

export interface TagRule {
  readonly id: string
  readonly tenant: TenantName
  /** Patterns of `storage/name-pattern.ts`: the whole name of a repository, and a tag. */
  readonly repositories: string
  readonly tags: string
  readonly createdAt: Date
}

export type NewTagRule = Pick<TagRule, 'tenant' | 'repositories' | 'tags'>
