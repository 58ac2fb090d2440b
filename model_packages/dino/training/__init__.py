"""Fine-tuning: a DINO transformer learns to tell products apart; only finetune.py uses this."""
