import { DomainError } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import type { AuditQuery, AuditRecords } from '../../../storage/metadata/audit-records.ts'
import type { auditView } from '../views.ts'
import { type PageInput, pageOf } from './pages.ts'

type Filter = PageInput & Omit<AuditQuery, 'limit' | 'before'>

/** Entries, newest first; `last` is the id of the last one of the page before. */
export async function auditPage(
  records: Pick<AuditRecords, 'listAudit'>,
  { n, last, ...filter }: Filter,
  view: typeof auditView,
  options: Abortable,
) {
  const before = last === undefined || last === '' ? undefined : idIn(last)
  return await pageOf(
    n === undefined ? {} : { n },
    view,
    async ({ limit }) => await records.listAudit({ ...filter, limit, before }, options),
    ({ id }) => String(id),
  )
}

function idIn(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new DomainError('invalid', `last=${text.slice(0, 32)} is no id of an entry.`, {
    resource: 'account',
    name: 'last',
  })
}
