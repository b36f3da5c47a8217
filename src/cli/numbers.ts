import { InvalidArgumentError } from 'commander'

/** For options of commands. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value))
    throw new InvalidArgumentError('Write a whole number.')
  return value
}

export function bytes(text: string): number {
  return bounded(text, 1, 'Write a whole number of bytes.')
}

export function seconds(text: string): number {
  return bounded(text, 0, 'Write a whole number of seconds.')
}

function bounded(text: string, least: number, otherwise: string): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
    throw new InvalidArgumentError(otherwise)
  return value
}
