import type { X509Certificate } from 'node:crypto'
import * as z from 'zod'
import { DomainError } from '../../errors.ts'
import { type NamePattern, namePattern } from '../../storage/name-pattern.ts'

/** Attributes that a certificate's subject has to have, such as `O` and `CN`; none: any subject will do. */
export type SubjectPattern = ReadonlyMap<string, NamePattern>

/**
 * Of notation's `trustedIdentities`: `x509.subject: C=US, ST=WA, O=acme`, or `*`. The subject may have other attributes
 * besides. In a value, `*` and `**` are as in all patterns here.
 * @throws DomainError `invalid`.
 */
export function parseSubjectPattern(text: string): SubjectPattern {
  const names = text.replace(/^x509\.subject:/, '').trim()
  if (names === '*') return new Map()
  const pattern = new Map<string, NamePattern>()
  for (const part of names.split(/(?<!\\),/)) {
    const [, name, value] = /^\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.*?)\s*$/.exec(part) ?? []
    if (name === undefined || value === undefined || value === '' || pattern.has(name))
      throw new DomainError(
        'invalid',
        `${JSON.stringify(text.slice(0, 200))} is not a subject; write each attribute once, like C=US, ST=WA, O=acme, or * for any.`,
        { resource: 'rule', name: text.slice(0, 200) },
      )
    pattern.set(name, namePattern(value.replace(/\\(.)/g, '$1')))
  }
  return pattern
}

export function fitsSubject(pattern: SubjectPattern, certificate: X509Certificate): boolean {
  if (pattern.size === 0) return true
  const parsed = subjectSchema.safeParse(certificate.toLegacyObject().subject)
  if (!parsed.success) return false
  const subject = parsed.data
  return [...pattern].every(([name, value]) => {
    const has = Object.hasOwn(subject, name) ? subject[name] : undefined
    return has !== undefined && [has].flat().some(one => value.test(one))
  })
}

const subjectSchema = z.record(z.string(), z.union([z.string(), z.array(z.string())]))
