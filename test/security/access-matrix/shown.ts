import { type Answer, type Call, RegistryClient } from '../../support/registry-client.ts'
import type { Outcome } from './expected.ts'

/** A client that sends one `Authorization` with every request, or none. */
export class Shown extends RegistryClient {
  readonly authorization: string | undefined

  constructor(url: string, authorization: string | undefined) {
    super(url)
    this.authorization = authorization
  }

  override send(method: string, path: string, { headers = {}, ...call }: Call = {}): Promise<Answer> {
    const own: Record<string, string> =
      this.authorization === undefined ? {} : { authorization: this.authorization }
    return super.send(method, path, { ...call, headers: { ...own, ...headers } })
  }
}

/** What a row compares of an answer. */
export function outcomeOf({ status, headers, codes }: Answer): Outcome {
  return outcome(status, codes[0], headers['www-authenticate'])
}

/** Without what is undefined, so that two can be compared deeply. */
export function outcome(status: number, code?: string, challenge?: string): Outcome {
  return {
    status,
    ...(code === undefined ? {} : { code }),
    ...(challenge === undefined ? {} : { challenge }),
  }
}
