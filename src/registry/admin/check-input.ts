import type * as z from 'zod'
import { DomainError } from '../../errors.ts'
import { type AdminInput, type AdminOperation, adminOperations, type CheckedInput } from './administration.ts'

const inputs: { readonly [Name in AdminOperation]: { readonly input: z.ZodType<CheckedInput<Name>> } } =
  adminOperations

/** @throws DomainError `invalid` that names the first field that is wrong. */
export function checkInput<Name extends AdminOperation>(
  operation: Name,
  input: AdminInput<Name>,
): CheckedInput<Name> {
  const { success, data, error } = inputs[operation].input.safeParse(input)
  if (success) return data
  throw invalidInput(operation, error)
}

function invalidInput(operation: AdminOperation, { issues: [issue] }: z.ZodError): DomainError {
  const place = issue?.path.map(String).join('.').slice(0, 64) ?? ''
  const why =
    issue?.code === 'unrecognized_keys'
      ? `${[place, String(issue.keys[0]).slice(0, 64)].filter(Boolean).join('.')} is no field of it`
      : `${place === '' ? 'it' : place}: ${issue?.message ?? 'it is invalid'}`
  return new DomainError('invalid', `This is not valid for ${operation}: ${why}.`, {
    resource: adminOperations[operation].resource,
    ...(place === '' ? {} : { name: place }),
  })
}
