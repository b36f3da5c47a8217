import { randomUUID } from 'node:crypto'
import { type Kysely, sql, type Transaction } from 'kysely'
import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { type TenantName, tenantOf } from '../accounts/names.ts'
import type { Digest } from '../digest.ts'
import { namePattern } from '../name-pattern.ts'
import type { RepositoryName, Tag } from '../reference.ts'
import type { Database } from './database.ts'
import { keepTenant } from './keep-tenant.ts'
import type { TagRuleRow } from './rows/accounts.ts'
import type { Schema } from './schema.ts'
import { isStorable } from './storable-text.ts'
import type { NewTagRule, TagRule, TagRuleRecords } from './tag-rule-records.ts'

/** Characters: no name is longer. */
const maxPattern = 255

export class KyselyTagRules implements TagRuleRecords {
  readonly #database: Database
  readonly #now: () => number

  constructor(database: Database, now: () => number) {
    this.#database = database
    this.#now = now
  }

  async addTagRule({ tenant, repositories, tags }: NewTagRule, options?: Abortable): Promise<TagRule> {
    assertPattern(repositories)
    assertPattern(tags)
    const row = { id: randomUUID(), tenant, repositories, tags, created_at: this.#now() }
    await this.#database.write(options, async db => {
      await keepTenant(db, tenant)
      await db.insertInto('tag_rules').values(row).execute()
    })
    return toRule(row)
  }

  async removeTagRule(tenant: TenantName, id: string, options?: Abortable): Promise<void> {
    const { numDeletedRows } = await this.#database.write(options, db =>
      db
        .deleteFrom('tag_rules')
        .where('tenant', '=', tenant)
        // Of nothing that is stored, where it cannot be asked for.
        .where('id', '=', isStorable(id) ? id : '')
        .executeTakeFirstOrThrow(),
    )
    if (numDeletedRows === 0n)
      throw new DomainError('not_found', `The tenant ${tenant} has no rule ${id.slice(0, 64)} for tags.`, {
        resource: 'rule',
        name: id.slice(0, 64),
      })
  }

  listTagRules(tenant: TenantName, options?: Abortable): Promise<TagRule[]> {
    return this.#database.read(options, db => rulesOf(db, tenant))
  }
}

/**
 * For transactions that have changed tags, or taken them away, and hold the repository's lock.
 * @param tags or, for all of the repository, who knows them: asked only where there are rules for it.
 * @throws DomainError `conflict` when a rule of the tenant says that one of them stays as it is.
 */
export async function assertMutable(
  db: Transaction<Schema>,
  repository: RepositoryName,
  tags: readonly Tag[] | (() => Promise<readonly Tag[]>),
): Promise<void> {
  if (tags.length === 0 && typeof tags !== 'function') return
  const found = await ruleFor(db, repository, typeof tags === 'function' ? tags : () => Promise.resolve(tags))
  if (found === undefined) return
  const { tag, rule } = found
  const name = `${rule.id} (${rule.repositories}, tags ${rule.tags})`
  const wayOut =
    typeof tags === 'function'
      ? 'An admin can force it.'
      : 'Use another tag, or ask an owner of the tenant to remove the rule.'
  throw new DomainError(
    'conflict',
    `The tag ${tag} of ${repository} may not be changed: rule ${name}. ${wayOut}`,
    { resource: 'tag', name: tag, rule: `immutable tags: rule ${name}` },
  )
}

/**
 * For a transaction that takes a manifest away and holds the repository's lock. A tag whose index has lost an image does
 * not name any more what it named.
 * @throws DomainError `conflict` when it is in an index, or in one that is in another, whose tag stays as it is.
 */
export async function assertNotKept(
  db: Transaction<Schema>,
  repository: RepositoryName,
  digest: Digest,
): Promise<void> {
  const found = await ruleFor(db, repository, () => tagsAbove(db, repository, digest))
  if (found === undefined) return
  const { tag, rule } = found
  const name = `${rule.id} (${rule.repositories}, tags ${rule.tags})`
  throw new DomainError(
    'conflict',
    `The manifest ${digest} is part of what the tag ${tag} of ${repository} names, which may not be changed: rule ${name}.`,
    { resource: 'tag', name: tag, rule: `immutable tags: rule ${name}` },
  )
}

async function tagsAbove(db: Kysely<Schema>, repository: RepositoryName, child: Digest): Promise<Tag[]> {
  const { rows } = await sql<{ name: Tag }>`
    with recursive above (digest) as (
      select manifest from manifest_references
        where repository = ${repository} and digest = ${child} and role = 'child'
      union
      select reference.manifest from manifest_references as reference
        join above on reference.digest = above.digest
        where reference.repository = ${repository} and reference.role = 'child'
    )
    select name from tags where repository = ${repository} and digest in (select digest from above)
      order by name
  `.execute(db)
  return rows.map(({ name }) => name)
}

/**
 * The first of these tags that may not be changed, with the rule that says so.
 * @param tagsOf asked only where there are rules for the repository, which are few.
 */
export async function ruleFor(
  db: Transaction<Schema>,
  repository: RepositoryName,
  tagsOf: () => Promise<readonly Tag[]>,
): Promise<{ readonly tag: Tag; readonly rule: TagRule } | undefined> {
  const all = await rulesOf(db, tenantOf(repository))
  const rules = all.filter(rule => namePattern(rule.repositories).test(repository))
  if (rules.length === 0) return undefined
  const tags = await tagsOf()
  for (const rule of rules) {
    const pattern = namePattern(rule.tags)
    const tag = tags.find(each => pattern.test(each))
    if (tag !== undefined) return { tag, rule }
  }
  return undefined
}

/** Which tags of the repository may not be changed. */
export async function immutableTags(
  db: Kysely<Schema>,
  repository: RepositoryName,
): Promise<(tag: Tag) => boolean> {
  const all = await rulesOf(db, tenantOf(repository))
  const patterns = all
    .filter(rule => namePattern(rule.repositories).test(repository))
    .map(rule => namePattern(rule.tags))
  return tag => patterns.some(pattern => pattern.test(tag))
}

async function rulesOf(db: Kysely<Schema>, tenant: TenantName): Promise<TagRule[]> {
  const rows = await db
    .selectFrom('tag_rules')
    .selectAll()
    .where('tenant', '=', tenant)
    .orderBy('serial')
    .execute()
  return rows.map(toRule)
}

function toRule({ id, tenant, repositories, tags, created_at }: Omit<TagRuleRow, 'serial'>): TagRule {
  return { id, tenant, repositories, tags, createdAt: new Date(created_at) }
}

function assertPattern(pattern: string): void {
  if (pattern !== '' && pattern.length <= maxPattern && isStorable(pattern)) return
  throw new DomainError(
    'invalid',
    `${JSON.stringify(pattern.slice(0, 64))} is no pattern for names; it has 1 to ${maxPattern} characters, such as acme/** or v*.`,
    { resource: 'rule' },
  )
}
