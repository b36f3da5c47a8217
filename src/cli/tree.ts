/** Something with things that hang on it. */
export interface TreeNode {
  readonly label: string
  /** Called once, when it is drawn. */
  readonly children: () => readonly TreeNode[]
}

export interface TreeStyle {
  /** Whether the terminal shows more than ASCII. */
  readonly unicode: boolean
  /** Columns that no line goes beyond; at least {@link minColumns}. */
  readonly columns: number
}

export const minColumns = 20

interface Strokes {
  readonly branch: string
  readonly last: string
  readonly through: string
  readonly blank: string
  readonly cut: string
}

const lines: Strokes = { branch: '├─ ', last: '└─ ', through: '│  ', blank: '   ', cut: '…' }
const asciiLines: Strokes = { branch: '|- ', last: '`- ', through: '|  ', blank: '   ', cut: '~' }

interface Pending {
  readonly node: TreeNode
  /** What stands before the label, and before all that is below it. */
  readonly before: string
  readonly below: string
}

/**
 * One line per node, deeper ones further to the right. A label that is too long loses its end, and what is too deep its
 * place: the left half of a line is the most that strokes take.
 */
export function drawTree(roots: readonly TreeNode[], style: TreeStyle): string[] {
  const strokes = style.unicode ? lines : asciiLines
  const columns = Math.max(minColumns, style.columns)
  const drawn: string[] = []
  const pending: Pending[] = roots.map(node => ({ node, before: '', below: '' })).toReversed()
  // Not by recursion: nobody knows how deep images have branched off images.
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { node, before, below } = next
    const indent = cutLeft(before, Math.floor(columns / 2), strokes.cut)
    drawn.push(`${indent}${cutRight(node.label, columns - indent.length, strokes.cut)}`)
    const children = node.children()
    for (const child of children.toReversed())
      pending.push(
        child === children.at(-1)
          ? { node: child, before: below + strokes.last, below: below + strokes.blank }
          : { node: child, before: below + strokes.branch, below: below + strokes.through },
      )
  }
  return drawn
}

function cutLeft(text: string, columns: number, cut: string): string {
  return text.length <= columns ? text : cut + text.slice(text.length - columns + 1)
}

function cutRight(text: string, columns: number, cut: string): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let width = 1
  for (const character of text) {
    width += widthOf(character)
    if (width > columns) break
    kept += character
  }
  return kept + cut
}

/** In columns; what is not ASCII is taken for wide, which some of it is. */
function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += character > '~' ? 2 : 1
  return width
}
