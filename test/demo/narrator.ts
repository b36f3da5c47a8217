/** What the demo tells: headings, details, and how long each step took. */

export function say(heading: string): void {
  console.log(`\n${heading}`)
}

say.detail = (text: string): void => console.log(`  ${text}`)

export async function timed<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const started = performance.now()
  const result = await work()
  say.detail(`${((performance.now() - started) / 1000).toFixed(2).padStart(7)} s  ${what}`)
  return result
}
