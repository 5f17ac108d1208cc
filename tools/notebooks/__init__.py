"""The plain edition: the chapters as notebooks that read well in Jupyter, VS Code and Colab, without the book's tools."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "_ext"))
