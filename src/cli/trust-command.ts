import { readFile } from 'node:fs/promises'
import { Command } from 'commander'
import { DomainError } from '../errors.ts'
import type { TrustReport } from '../registry/trust/trust-report.ts'
import {
  parseReference,
  parseRepositoryName,
  parseTag,
  type Reference,
  type RepositoryName,
} from '../storage/reference.ts'
import { formatTable, shortDigest } from './format.ts'
import { type CommonFlags, commandWithConfig, configOf, jsonOption } from './options.ts'
import { print, printJson } from './print.ts'
import { printable } from './printable.ts'
import { abortOnSignals } from './signals.ts'

interface VerifyFlags extends CommonFlags {
  readonly policy?: string
  readonly json?: true
}

/** `trust`: which signatures images have, and what trust policies make of them. */
export function trustCommand(): Command {
  const verify = commandWithConfig(
    'verify',
    'show the signatures of an image of this registry, and whether its trust policy takes them',
  )
    .argument('<image>', 'REPOSITORY[:TAG] or REPOSITORY@DIGEST, without a host')
    .option('--policy <file>', 'a trust policy in JSON, instead of that of the tenant')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
It reads the database and the blobs itself, so run it as the user that the registry runs as. Exit code 4
says that the image may not be pulled.`,
    )
    .action(async (name: string, flags: VerifyFlags) => {
      const image = parseOwnImage(name)
      const { config } = configOf(flags)
      const { signal } = abortOnSignals()
      const { reportTrust } = await import('./registry/report-trust.ts')
      const policy = flags.policy === undefined ? undefined : await readPolicy(flags.policy)
      const report = await reportTrust(config, image, policy, { signal })
      if (flags.json) printJson(report)
      else print(describeTrust(report))
      if (!report.isAllowed)
        throw new DomainError('denied', `${report.repository}@${report.digest} may not be pulled.`, {
          resource: 'image',
          name,
        })
    })
  return new Command('trust').description('look at signatures of images').addCommand(verify)
}

/** An image of this registry. */
export interface OwnImage {
  readonly repository: RepositoryName
  readonly reference: Reference
}

/** `latest` unless it says otherwise. @throws DomainError `invalid`. */
export function parseOwnImage(text: string): OwnImage {
  const at = text.indexOf('@')
  if (at >= 0)
    return {
      repository: parseRepositoryName(text.slice(0, at)),
      reference: parseReference(text.slice(at + 1)),
    }
  const colon = text.indexOf(':')
  const tag = colon < 0 ? 'latest' : text.slice(colon + 1)
  return {
    repository: parseRepositoryName(colon < 0 ? text : text.slice(0, colon)),
    reference: { kind: 'tag', tag: parseTag(tag) },
  }
}

async function readPolicy(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new DomainError(
      'invalid',
      `The trust policy ${path} cannot be read.`,
      { resource: 'config', name: path },
      { cause },
    )
  }
}

/** For people. */
export function describeTrust(report: TrustReport): string {
  const { repository, digest, policies, isAllowed } = report
  const sections = [`${repository}@${digest}`]
  if (policies.length === 0) sections.push('No trust policy is about this image, so it may be pulled.')
  for (const { name, mode, appliesTo, isTrusted, says, signatures } of policies) {
    const who = appliesTo === 'readers' ? 'those who may not push' : 'everybody'
    const verdict = isTrusted ? 'trusted' : mode === 'warn' ? 'not trusted (only a warning)' : 'not trusted'
    sections.push(printable(`policy ${name}, for ${who}: ${verdict}, because ${says}`))
    if (signatures.length > 0)
      sections.push(
        formatTable(
          ['SIGNATURE', 'KIND', 'COUNTS', 'IT'],
          signatures.map(one => [shortDigest(one.digest), one.form, one.isTrusted ? 'yes' : 'no', one.says]),
        ),
      )
  }
  if (policies.length > 0) sections.push(isAllowed ? 'It may be pulled.' : 'It may not be pulled.')
  return sections.join('\n\n')
}
