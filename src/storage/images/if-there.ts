import { isDomainError } from '../../errors.ts'

/** What a question answers; undefined where it answers that the thing is not there. */
export async function ifThere<Answer>(question: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await question
  } catch (error) {
    if (isDomainError(error, 'not_found')) return undefined
    throw error
  }
}
