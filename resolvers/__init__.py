"""What the product does: one async function per question, called by both doors."""
