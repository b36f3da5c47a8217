import { compare, hash } from 'bcryptjs'
import type { Abortable } from '../../../storage/abortable.ts'
import { comparisonsOf } from './bcrypt-work.ts'
import type { PasswordHasher } from './password.ts'

/** In this thread, which does little else meanwhile: for commands that hash one password and end. */
export const bcryptHere: PasswordHasher = Object.freeze({
  hash: async (password: string, setting: number | string, { signal }: Abortable = {}): Promise<string> => {
    signal?.throwIfAborted()
    return await hash(password, setting)
  },
  compare: async (
    password: string,
    known: string | null,
    cost: number,
    { signal }: Abortable = {},
  ): Promise<boolean> => {
    for (const comparison of comparisonsOf(password, known, cost)) {
      signal?.throwIfAborted()
      if ((await compare(password, comparison.hash)) && comparison.isReal) return true
    }
    return false
  },
})
